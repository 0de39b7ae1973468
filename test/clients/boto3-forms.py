"""What boto3 makes for browsers: signed forms, sent as its own HTTP library encodes them."""

import sys

import boto3
import urllib3
from botocore.config import Config
from urllib3.filepost import encode_multipart_formdata

endpoint = sys.argv[1]
s3 = boto3.client(
    "s3",
    endpoint_url=endpoint,
    config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
)
http = urllib3.PoolManager(retries=False)
bucket = "forms-of-boto3"
s3.create_bucket(Bucket=bucket)


def post(form, content, extra=None):
    """Every part with a filename, as the library `requests` sends a dictionary of files."""
    parts = [(name, (name, value)) for name, value in {**form["fields"], **(extra or {})}.items()]
    body, content_type = encode_multipart_formdata(
        [*parts, ("file", ("photo.txt", content, "text/plain"))]
    )
    answer = http.request(
        "POST", form["url"], body=body, headers={"Content-Type": content_type}
    )
    return answer.status


form = s3.generate_presigned_post(bucket, "one/${filename}")
assert post(form, b"content") == 204
assert s3.get_object(Bucket=bucket, Key="one/photo.txt")["Body"].read() == b"content"
print("a signed form")

form = s3.generate_presigned_post(
    bucket,
    "two",
    Fields={"acl": "private", "Content-Type": "image/png", "success_action_status": "201"},
    Conditions=[
        {"acl": "private"},
        ["starts-with", "$Content-Type", "image/"],
        {"success_action_status": "201"},
        ["content-length-range", 0, 1 << 20],
        ["starts-with", "$x-amz-meta-tag", ""],
    ],
)
assert post(form, b"x" * (1 << 20), {"x-amz-meta-tag": "a"}) == 201
head = s3.head_object(Bucket=bucket, Key="two")
assert (head["ContentType"], head["Metadata"]) == ("image/png", {"tag": "a"})
print("a signed form with conditions")

assert post(form, b"x" * ((1 << 20) + 1), {"x-amz-meta-tag": "a"}) == 400
assert post(form, b"x", {"x-amz-meta-tag": "a", "x-amz-meta-other": "b"}) == 403
assert post(form, b"x", {"x-amz-meta-tag": "a", "key": "three"}) == 403
keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]
assert keys == ["one/photo.txt", "two"], keys
print("refusals")
