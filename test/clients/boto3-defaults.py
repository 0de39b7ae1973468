"""Drives a server with boto3's default settings; says what it did, fails on the first wrong byte."""

import hashlib
import io
import sys
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

s3 = boto3.client("s3", endpoint_url=sys.argv[1])
MIB = 1024 * 1024


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as failure:
        assert failure.response["Error"]["Code"] == code, failure
        return
    raise AssertionError(f"should have been refused with {code}")


s3.create_bucket(Bucket="boto")
assert [row["Name"] for row in s3.list_buckets()["Buckets"]] == ["boto"]

stored = s3.put_object(Bucket="boto", Key="small", Body=b"hello", Metadata={"colour": "blue"})
assert stored["ChecksumCRC32"], stored
got = s3.get_object(Bucket="boto", Key="small")
assert got["Body"].read() == b"hello"
assert got["Metadata"] == {"colour": "blue"}
print("a small object with its CRC")

# A stream that cannot be read twice goes out with the checksum in a trailer.
streamed = bytes(range(256)) * 4096
s3.put_object(Bucket="boto", Key="streamed", Body=io.BytesIO(streamed))
assert s3.get_object(Bucket="boto", Key="streamed")["Body"].read() == streamed
print("a stream with a CRC trailer")

large = hashlib.sha512(b"seed").digest() * (25 * MIB // 64) + b"end"
s3.upload_fileobj(io.BytesIO(large), "boto", "large")
back = io.BytesIO()
s3.download_fileobj("boto", "large", back)
assert back.getvalue() == large
head = s3.head_object(Bucket="boto", Key="large")
assert head["ETag"].endswith('-4"'), head
print("a large object in parts")

s3.copy({"Bucket": "boto", "Key": "large"}, "boto", "copied")
assert s3.head_object(Bucket="boto", Key="copied")["ContentLength"] == len(large)
print("a copy in parts")

for number in range(25):
    s3.put_object(Bucket="boto", Key=f"many/{number:02}", Body=b"")
pages = s3.get_paginator("list_objects_v2").paginate(
    Bucket="boto", Prefix="many/", PaginationConfig={"PageSize": 10}
)
keys = [row["Key"] for page in pages for row in page["Contents"]]
assert keys == [f"many/{number:02}" for number in range(25)], keys
s3.delete_objects(Bucket="boto", Delete={"Objects": [{"Key": key} for key in keys]})
assert "Contents" not in s3.list_objects_v2(Bucket="boto", Prefix="many/")
print("pages of a listing, deleted by one request")

# Links are the one thing boto3 still signs with version 2 unless it is told otherwise.
signer = boto3.client("s3", endpoint_url=sys.argv[1], config=Config(signature_version="s3v4"))
link = signer.generate_presigned_url("get_object", Params={"Bucket": "boto", "Key": "small"})
with urllib.request.urlopen(link) as answer:
    assert answer.read() == b"hello"
print("a presigned link")

refused("NoSuchKey", s3.get_object, Bucket="boto", Key="missing")
refused("NoSuchBucket", s3.get_object, Bucket="missing", Key="missing")
refused("PreconditionFailed", s3.put_object, Bucket="boto", Key="small", Body=b"", IfNoneMatch="*")
print("refusals by name")
