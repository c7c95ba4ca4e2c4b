"""Runs moto's S3 server as a process of its own on a free port, and looks into its buckets from beside."""

import json
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import httpx

from servers.process import Process

COMMAND = Path(sys.executable).with_name("moto_server")
KEYS = {"aws_access_key_id": "AKIAHABEASTEST000001", "aws_secret_access_key": "s3-test-secret-key-of-the-storage"}
_ALLOWED = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]


class S3Server(Process):
    """A running store. What is in it goes when it stops; `start` starts it again, empty, at the same address.

    With `strict` it checks signatures and permissions once `admit` was called.
    """

    def __init__(self, folder: Path, *, strict: bool = False) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._clients: dict[str, Any] = {}
        environment = {"INITIAL_NO_AUTH_ACTION_COUNT": "1000"} if strict else {}
        super().__init__([COMMAND, "-H", "127.0.0.1", "-p", str(port)], folder, environment)

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            return httpx.get(f"{self.url}/moto-api/", timeout=5).is_success
        except httpx.TransportError:
            return False

    def details(self, bucket: str, **more: Any) -> dict[str, Any]:
        """Details of a storage that puts its packages into a bucket here."""
        return {"bucket": bucket, "auth_method": "secret_keys", "endpoint_url": self.url, **more}

    def create_bucket(self, name: str) -> str:
        self._client("s3").create_bucket(Bucket=name)
        return name

    def delete_bucket(self, name: str) -> None:
        """It must be empty."""
        self._client("s3").delete_bucket(Bucket=name)

    def empty(self, bucket: str) -> None:
        """Delete what is in it, begun uploads too."""
        s3 = self._client("s3")
        for key in self.objects(bucket):
            s3.delete_object(Bucket=bucket, Key=key)
        for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])

    def objects(self, bucket: str, prefix: str = "") -> dict[str, bytes]:
        """Everything whose key begins so."""
        s3 = self._client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def unfinished(self, bucket: str) -> list[str]:
        """Keys of the uploads in parts that are neither complete nor given up."""
        found = self._client("s3").list_multipart_uploads(Bucket=bucket).get("Uploads", ())
        return [upload["Key"] for upload in found]

    def begin_upload(self, bucket: str, key: str) -> None:
        """An upload in parts that nobody will complete."""
        s3 = self._client("s3")
        begun = s3.create_multipart_upload(Bucket=bucket, Key=key)
        s3.upload_part(Bucket=bucket, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"x")

    def admit(self) -> Mapping[str, str]:
        """From now on only a user with these keys may do what packages need, and nothing else."""
        iam = self._client("iam")
        iam.create_user(UserName="habeas")
        statement = {"Effect": "Allow", "Action": _ALLOWED, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName="habeas", PolicyName="packages", PolicyDocument=document)
        made = iam.create_access_key(UserName="habeas")["AccessKey"]
        httpx.post(f"{self.url}/moto-api/reset-auth", content=b"0").raise_for_status()
        return {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(service, endpoint_url=self.url, region_name="us-east-1", **KEYS)
        return self._clients[service]
