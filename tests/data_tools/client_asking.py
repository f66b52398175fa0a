"""Short ways to ask a stub server, for the tests of the client."""

from mindgpt_data.client.request import Request, Task
from mindgpt_data.client.run import ask_all
from mindgpt_data.schema.config import EndpointSettings


def make_task(key, text=None, fingerprint="1", parse=lambda answer: answer.texts[0], **fields):
    messages = [{"role": "user", "content": text or f"ask {key}"}]
    return Task(str(key), fingerprint, lambda: Request(messages, **fields), parse)


def run(tasks, store, *servers, step="ask", **settings):
    endpoints = [
        server
        if isinstance(server, EndpointSettings)
        else EndpointSettings(base_url=server.url, model="stub", **({"timeout": 5.0} | settings))
        for server in servers
    ]
    outcomes = list(ask_all(tasks, step=step, store=store, endpoints=endpoints))
    assert len({outcome.key for outcome in outcomes}) == len(outcomes)
    return {outcome.key: outcome for outcome in outcomes}
