"""What the journal has about one request, by the id that its client got. Changes nothing."""

from __future__ import annotations

import json

from roles.contract.trace import FindRequest, FoundRequest, find_request
from roles.contract.wire import written
from roles.host.programs.systemd import Manager


def main(request: FindRequest) -> None:
    print(json.dumps(written(find(request, Manager(request.scope)))))


def find(request: FindRequest, manager: Manager) -> FoundRequest:
    return find_request(request.id, request.units, request.front, manager.journal)
