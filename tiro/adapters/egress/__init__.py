"""The one way out: everything that connects to an address a stranger named goes through this room.

addresses   which IP addresses are public
guard       which URLs and hosts may be reached; `Guard` resolves once and checks every answer
patience    until when a download may last: a deadline and a `stop`
wire        sockets to checked addresses only
clients     httpx2 clients over those sockets, and one that is loyal to the engines' servers
http        one GET: redirects, caps, deadlines
podcast     feeds and the pages of their episodes -> the address of a recording
sites       yt-dlp for the sites it knows, in a child (site_child) behind a filtering proxy (proxy); what they say to
            each other (site_talk); what that starts has no network (fence); which addresses it knows is asked in a child of its own
            (knowing)
fetcher     `WebFetcher`, the Fetcher port: picks among these
courier     `WebCourier`, the Courier port: posts webhooks
"""
