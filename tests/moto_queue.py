"""A bucket that notifies a queue of new objects: moto's server, the only one from PyPI that does."""

import json
import logging
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import boto3
import requests
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

ACCOUNT, REGION = "123456789012", "us-east-1"


@dataclass(frozen=True)
class NotifyingBucket:
    """A bucket, and the queue that is notified of its objects."""

    address: str
    name: str
    queue_url: str
    s3: Any
    sqs: Any

    def renewed(self):
        """Return the bucket, empty, with a new queue."""
        for item in self.s3.list_objects_v2(Bucket=self.name).get("Contents", []):
            self.s3.delete_object(Bucket=self.name, Key=item["Key"])
        queue = f"jobs-{uuid.uuid4().hex}"
        url = self.sqs.create_queue(QueueName=queue)["QueueUrl"]
        events = {"QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}", "Events": ["s3:ObjectCreated:*"]}
        notifications = {"QueueConfigurations": [events]}
        self.s3.put_bucket_notification_configuration(Bucket=self.name, NotificationConfiguration=notifications)
        renewed = replace(self, queue_url=url)
        renewed.lose()  # moto sends the test event of S3
        return renewed

    def lose(self):
        """Delete all messages, as if they were lost."""
        while found := self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in found:
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])

    def send(self, body):
        """Send a message, as any client with permission can."""
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=body if isinstance(body, str) else json.dumps(body))

    def waiting(self):
        """Return the approximate numbers of waiting and of hidden messages."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)["Attributes"]
        return tuple(int(found[name]) for name in names)


@contextmanager
def notifying_bucket(name="notifying-jobs"):
    """Serve a bucket that notifies a queue of new objects."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    try:
        session = boto3.session.Session("made", "up", region_name=REGION)
        s3, sqs = (session.client(service, endpoint_url=address) for service in ("s3", "sqs"))
        s3.create_bucket(Bucket=name)
        yield NotifyingBucket(address, name, "", s3, sqs).renewed()
    finally:
        requests.post(f"{address}/moto-api/reset", timeout=10)
        server.stop()


@contextmanager
def reached(served, monkeypatch):
    """Give a served bucket, empty, with the credentials for its queue in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "up")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", served.address)
    yield served.renewed()
