"""How requests come in: one HTTP server, with one dialect per wire API and an admin corner for the command line.

app (the server put together) · edge (what holds for every answer) · server (uvicorn's settings) · config (what the server was told)
faces (who answers for which path) · identity (who asks) · body (JSON, guarded) · once (answered before)
arriving (long bodies, past the parser) · multipart and forms (files, streamed into the store) · inflow (how they are written)
files/ (links for those who bring or fetch bytes by themselves) · relay (the loop that starts what was ordered) · health (whether it
answers)
openapi (a document and its page) · papers (where they are read) · dialects/ (wire APIs) · admin/ (loopback)
"""
