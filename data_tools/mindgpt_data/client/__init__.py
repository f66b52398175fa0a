"""Everything that talks to a model server: OpenAI-compatible, asynchronous, stored, resumable.

``request`` what is asked · ``run`` :func:`~mindgpt_data.client.run.ask_all` · ``sender`` attempts and waits
· ``endpoint`` limits, health, choice of server · ``pace`` rate limits · ``wire`` the protocol · ``store`` answers that
were paid for · ``images``, ``structured`` what goes into a request · ``spend`` estimates and bills · ``batch`` the same
without a live server. :mod:`mindgpt_data.testing.stub` is a server to try it all against.
"""
