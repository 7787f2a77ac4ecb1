"""Where all content lies: the `Blobs` port over a folder, a bucket or memory.

opening.py (address -> store) · folder.py (temporary file, fsync, rename) · past_cache.py (how it writes what is large) · memory.py
s3.py (any S3 server; boto3 is an extra) · s3_writer.py (parts of 8 MiB) · s3_faults.py (its errors in our words)
keys.py (what may name an object) · streams.py (reading a part of one)
And the `UploadDesk` beside it, where clients bring bytes by themselves: desk_folder.py (through our own links) · desk_s3.py (presigned)
"""

from tiro.adapters.storage.opening import open_blobs as open_blobs
from tiro.adapters.storage.opening import open_desk as open_desk
from tiro.adapters.storage.s3 import S3Options as S3Options
