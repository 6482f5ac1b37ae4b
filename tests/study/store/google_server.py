"""A server of the protocol of Google's object store, which refuses to write an object anew that is to be the first.

The protocol has the query ``ifGenerationMatch=0`` for that, answered with status 412 where there is an object; the
package's server takes no notice of it.
"""

import sys
from functools import wraps
from http import HTTPStatus

from gcp_storage_emulator.__main__ import main
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import objects


def as_first(upload):
    """``upload``, for an object that is not there yet."""

    @wraps(upload)
    def handle(request, response, storage):
        if request.query.get("ifGenerationMatch") == ["0"]:
            name = request.query.get("name") or [request.data["meta"]["name"]]
            try:
                storage.get_file_obj(request.params["bucket_name"], name[0])
            except NotFound:
                pass
            else:
                response.status = HTTPStatus.PRECONDITION_FAILED
                return None
        return upload(request, response, storage)

    return handle


for kind in ("_media_upload", "_multipart_upload"):
    setattr(objects, kind, as_first(getattr(objects, kind)))

sys.exit(main(sys.argv[1:]))
