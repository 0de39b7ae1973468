"""Locks versions and sets lifecycles with boto3; says what it did, fails on the first wrong answer."""

import datetime
import re
import sys

import boto3
from botocore.exceptions import ClientError

s3 = boto3.client("s3", endpoint_url=sys.argv[1])
UTC = datetime.timezone.utc
FAR = datetime.datetime(2140, 1, 1, tzinfo=UTC)


def refused(status, code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as failure:
        answer = failure.response
        found = (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"])
        assert found == (status, code), found
        return
    raise AssertionError(f"should have been refused with {code}")


LOCKED = {"Bucket": "locked"}
s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
s3.create_bucket(Bucket="plain")
assert s3.get_bucket_versioning(**LOCKED)["Status"] == "Enabled"
configuration = {
    "ObjectLockEnabled": "Enabled",
    "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
}
s3.put_object_lock_configuration(**LOCKED, ObjectLockConfiguration=configuration)
shown = s3.get_object_lock_configuration(**LOCKED)["ObjectLockConfiguration"]
assert shown == configuration, shown
refused(
    409,
    "InvalidBucketState",
    s3.put_object_lock_configuration,
    Bucket="plain",
    ObjectLockConfiguration=configuration,
)
for retention, code in [
    ({"Mode": "GOVERNANCE", "Days": 1, "Years": 1}, "MalformedXML"),
    ({"Mode": "abc", "Days": 1}, "MalformedXML"),
    ({"Mode": "GOVERNANCE", "Days": 0}, "InvalidRetentionPeriod"),
    ({"Mode": "GOVERNANCE", "Years": -1}, "InvalidRetentionPeriod"),
]:
    wrong = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}}
    refused(
        400,
        code,
        s3.put_object_lock_configuration,
        **LOCKED,
        ObjectLockConfiguration=wrong,
    )
print("a bucket's default retention")

version = s3.put_object(**LOCKED, Key="a", Body=b"abc")["VersionId"]
named = {**LOCKED, "Key": "a", "VersionId": version}
head = s3.head_object(**LOCKED, Key="a")
assert head["ObjectLockMode"] == "GOVERNANCE", head
until = head["ObjectLockRetainUntilDate"] - datetime.datetime.now(UTC)
assert datetime.timedelta(hours=23) < until <= datetime.timedelta(days=1), until
refused(403, "AccessDenied", s3.delete_object, **named)
s3.put_object_retention(**named, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": FAR})
assert s3.get_object_retention(**named)["Retention"]["RetainUntilDate"] == FAR
sooner = {"Mode": "GOVERNANCE", "RetainUntilDate": FAR - datetime.timedelta(days=1)}
refused(403, "AccessDenied", s3.put_object_retention, **named, Retention=sooner)
s3.put_object_retention(**named, Retention=sooner, BypassGovernanceRetention=True)
refused(
    400,
    "MalformedXML",
    s3.put_object_retention,
    **named,
    Retention={"Mode": "governance", "RetainUntilDate": FAR},
)
s3.put_object_legal_hold(**named, LegalHold={"Status": "ON"})
assert s3.get_object_legal_hold(**named)["LegalHold"] == {"Status": "ON"}
refused(403, "AccessDenied", s3.delete_object, **named, BypassGovernanceRetention=True)
refused(400, "MalformedXML", s3.put_object_legal_hold, **named, LegalHold={"Status": "abc"})
s3.put_object_legal_hold(**named, LegalHold={"Status": "OFF"})
both = {"Objects": [{"Key": "a", "VersionId": version}]}
assert s3.delete_objects(**LOCKED, Delete=both)["Errors"][0]["Code"] == "AccessDenied"
gone = s3.delete_objects(**LOCKED, Delete=both, BypassGovernanceRetention=True)
assert gone["Deleted"][0]["VersionId"] == version, gone
s3.put_object(Bucket="plain", Key="a", Body=b"abc")
held = {"Bucket": "plain", "Key": "a", "LegalHold": {"Status": "ON"}}
refused(400, "InvalidRequest", s3.put_object_legal_hold, **held)
print("retention and legal hold of versions")

PLAIN = {"Bucket": "plain"}


def configure(*rules):
    s3.put_bucket_lifecycle_configuration(**PLAIN, LifecycleConfiguration={"Rules": list(rules)})


refused(404, "NoSuchLifecycleConfiguration", s3.get_bucket_lifecycle_configuration, **PLAIN)
rules = [
    {"ID": "one", "Expiration": {"Days": 31}, "Prefix": "test1/", "Status": "Enabled"},
    {"ID": "two", "Expiration": {"Days": 120}, "Prefix": "test2/", "Status": "Disabled"},
]
configure(*rules)
assert s3.get_bucket_lifecycle_configuration(**PLAIN)["Rules"] == rules
configure({"Expiration": {"Days": 31}, "Prefix": "test1/", "Status": "Enabled"})
assert s3.get_bucket_lifecycle_configuration(**PLAIN)["Rules"][0]["ID"]
day = {"Expiration": {"Days": 1}, "Filter": {"Prefix": ""}, "Status": "Enabled"}
for wrong, code in [
    ([{**day, "ID": "a" * 256}], "InvalidArgument"),
    ([{**day, "ID": "x"}, {**day, "ID": "x"}], "InvalidArgument"),
    ([{**day, "Status": "enabled"}], "MalformedXML"),
    ([{**day, "Expiration": {"Days": 0}}], "InvalidArgument"),
    ([{**day, "Expiration": {"Date": "20200101"}}], "InvalidArgument"),
]:
    refused(
        400,
        code,
        s3.put_bucket_lifecycle_configuration,
        **PLAIN,
        LifecycleConfiguration={"Rules": wrong},
    )
print("lifecycles as they were sent")

configure({**day, "ID": "rule one", "Filter": {"Tag": {"Key": "k", "Value": "v"}}})
stored = s3.put_object(**PLAIN, Key="tagged", Body=b"abc", Tagging="k=v")
expiry = re.fullmatch(r'expiry-date="(.+)", rule-id="rule%20one"', stored["Expiration"])
date = datetime.datetime.strptime(expiry.group(1), "%a, %d %b %Y %H:%M:%S GMT")
left = date.replace(tzinfo=UTC) - datetime.datetime.now(UTC)
assert 1 <= left.total_seconds() / 86400 <= 2, left
assert s3.head_object(**PLAIN, Key="tagged")["Expiration"] == stored["Expiration"]
assert "Expiration" not in s3.put_object(**PLAIN, Key="bare", Body=b"abc")
s3.delete_bucket_lifecycle(**PLAIN)
assert "Expiration" not in s3.head_object(**PLAIN, Key="tagged")
print("expiry dates of objects")
