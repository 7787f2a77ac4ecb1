"""How requests come in: one HTTP server, with one dialect per wire API and an admin corner for the command line.

app (the server put together) · edge (what holds for every answer) · server (uvicorn's settings) · config (what the server was told)
faces (who answers for which path) · identity (who asks) · body (JSON, guarded) · once (answered before)
multipart and uploads (files, streamed into the store) · relay (the loop that starts what was ordered)
openapi (the document and its page) · dialects/ (wire APIs) · admin/ (loopback)
"""
