"""Encrypted objects through boto3's transfers, which cut them into parts and ranges by themselves."""

import hashlib
import io
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

s3 = boto3.client(
    "s3",
    endpoint_url=sys.argv[1],
    config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
)
s3.create_bucket(Bucket="sealed")
MIB = 1024 * 1024
large = hashlib.sha512(b"seed").digest() * (20 * MIB // 64) + b"end"
key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
other = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "o" * 32}
source = {"CopySource" + name: value for name, value in key.items()}


def status_of(call, **arguments):
    try:
        call(**arguments)
    except ClientError as failure:
        return failure.response["ResponseMetadata"]["HTTPStatusCode"]
    return 200


def fetched(name, arguments=None):
    back = io.BytesIO()
    s3.download_fileobj("sealed", name, back, ExtraArgs=arguments or {})
    return back.getvalue()


s3.upload_fileobj(
    io.BytesIO(large), "sealed", "ours", ExtraArgs={"ServerSideEncryption": "AES256"}
)
assert s3.head_object(Bucket="sealed", Key="ours")["ServerSideEncryption"] == "AES256"
assert fetched("ours") == large
print("parts and ranges with a key of the site")

s3.upload_fileobj(io.BytesIO(large), "sealed", "theirs", ExtraArgs=key)
assert fetched("theirs", key) == large
assert status_of(s3.get_object, Bucket="sealed", Key="theirs") == 400
assert status_of(s3.get_object, Bucket="sealed", Key="theirs", **other) == 403
assert status_of(s3.head_object, Bucket="sealed", Key="theirs") == 400
print("parts and ranges with a key of the client")

where = {"Bucket": "sealed", "Key": "theirs"}
s3.copy_object(Bucket="sealed", Key="copied", CopySource=where, **source, **other)
assert fetched("copied", other) == large
s3.copy_object(
    Bucket="sealed", Key="ours-again", CopySource=where, ServerSideEncryption="AES256", **source
)
assert fetched("ours-again") == large
s3.copy({"Bucket": "sealed", "Key": "ours"}, "sealed", "clear")
assert "ServerSideEncryption" not in s3.head_object(Bucket="sealed", Key="clear")
assert fetched("clear") == large
print("copies from key to key, and to none")

rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
s3.put_bucket_encryption(
    Bucket="sealed", ServerSideEncryptionConfiguration={"Rules": rules}
)
told = s3.get_bucket_encryption(Bucket="sealed")["ServerSideEncryptionConfiguration"]["Rules"]
assert told == rules, told
assert s3.put_object(Bucket="sealed", Key="a", Body=b"a")["ServerSideEncryption"] == "AES256"
s3.delete_bucket_encryption(Bucket="sealed")
assert "ServerSideEncryption" not in s3.put_object(Bucket="sealed", Key="b", Body=b"b")
print("the default of a bucket")
