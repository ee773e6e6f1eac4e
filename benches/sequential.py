"""Tags the followers who came from a QR scene, one call after another, as programs with wechatpy do.

    python sequential.py BASE_URL APPID SECRET SCENE FOLLOWERS

It stops after so many followers, and prints what it read and tagged, and how long each took, as JSON.
"""

import json
import sys
import time
from itertools import islice

from wechatpy import WeChatClient

base_url, appid, secret, scene, followers = sys.argv[1:]


class Client(WeChatClient):
    """wechatpy's own client, but for the host of the platform."""

    API_BASE_URL = f"{base_url}/cgi-bin/"

    def fetch_access_token(self):
        fields = {"grant_type": "client_credential", "appid": self.appid, "secret": self.secret}
        return self._fetch_access_token(url=f"{base_url}/cgi-bin/token", params=fields)


client = Client(appid, secret)
tag = client.tag.create(f"QR {scene}")

begin = time.perf_counter()
openids = islice(client.user.iter_followers(), int(followers))
read, matched = 0, []
while part := list(islice(openids, 100)):
    users = client.user.get_batch(part)
    matched += [user["openid"] for user in users if user.get("qr_scene") == int(scene)]
    read += len(part)
read_seconds = time.perf_counter() - begin

begin = time.perf_counter()
for start in range(0, len(matched), 50):
    client.tag.tag_user(tag["id"], matched[start : start + 50])
write_seconds = time.perf_counter() - begin

print(json.dumps({
    "read": read,
    "read_seconds": read_seconds,
    "tagged": len(matched),
    "write_seconds": write_seconds,
}))
