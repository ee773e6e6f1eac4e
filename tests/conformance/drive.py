"""Holds the sandbox to what a client by other hands makes of it.

wechatpy was written against the real platform. Here it calls every path that mpscript declares, on a
stand-alone sandbox, and receives every kind of push that it can read, in all three modes. Nothing of
it is changed but the names of hosts (HOSTS).

    mpscript sandbox --followers 2000
    python drive.py BASE_URL APPID SECRET CALLBACK_TOKEN AES_KEY

It needs what requirements.txt names, and begins by setting the sandbox back. Each line of its output
is one exchange as it went over the wire, or one push as wechatpy read it; the last line says that all
is done. The first thing that does not hold is said on stderr, and ends it with exit code 1.
"""

import io
import json
import os
import re
import struct
import sys
import threading
import zlib
from collections import Counter, namedtuple
from functools import reduce
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from inspect import isgenerator
from urllib.parse import parse_qsl, quote, urlsplit

import requests
import xmltodict
from wechatpy import WeChatClient, WeChatOAuth, create_reply, events, messages, parse_message
from wechatpy.client.api import WeChatCard
from wechatpy.component import ComponentOAuth, WeChatComponent
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import APILimitedException, WeChatClientException, WeChatOAuthException
from wechatpy.replies import TextReply, deserialize_reply
from wechatpy.utils import check_signature

# Everything of wechatpy that is changed: where one of these names a host of the platform, it names the
# sandbox. An attribute is a text, or a function that has the host in its code.
HOSTS = [
    (WeChatClient, "API_BASE_URL"),
    (WeChatClient, "fetch_access_token"),
    (WeChatCard, "API_BASE_URL"),
    (WeChatOAuth, "API_BASE_URL"),
    (WeChatOAuth, "OAUTH_BASE_URL"),
    (ComponentOAuth, "API_BASE_URL"),
]
PLATFORM = re.compile(r"https://(api|open)\.weixin\.qq\.com")

FUNCTIONS = {
    "GET /cgi-bin/token": "token::get",
    "POST /cgi-bin/stable_token": "token::stable",
    "POST /cgi-bin/tags/create": "tag::create",
    "GET /cgi-bin/tags/get": "tag::list",
    "POST /cgi-bin/tags/update": "tag::update",
    "POST /cgi-bin/tags/delete": "tag::delete",
    "POST /cgi-bin/user/tag/get": "tag::members",
    "POST /cgi-bin/tags/members/batchtagging": "tag::attach",
    "POST /cgi-bin/tags/members/batchuntagging": "tag::detach",
    "POST /cgi-bin/tags/getidlist": "tag::of",
    "GET /cgi-bin/user/get": "user::list",
    "GET /cgi-bin/user/info": "user::info",
    "POST /cgi-bin/user/info/batchget": "user::batch",
    "POST /cgi-bin/user/info/updateremark": "user::remark",
    "POST /cgi-bin/tags/members/getblacklist": "blacklist::list",
    "POST /cgi-bin/tags/members/batchblacklist": "blacklist::add",
    "POST /cgi-bin/tags/members/batchunblacklist": "blacklist::remove",
    "GET /sns/oauth2/access_token": "oauth::exchange",
    "GET /sns/oauth2/refresh_token": "oauth::refresh",
    "GET /sns/userinfo": "oauth::userinfo",
    "GET /sns/auth": "oauth::check",
    "POST /cgi-bin/qrcode/create": "qrcode::create",
    "POST /cgi-bin/media/uploadimg": "media::upload_image",
    "POST /card/create": "card::create",
    "GET /cgi-bin/getcallbackip": "network::callback_ip",
    "GET /cgi-bin/get_api_domain_ip": "network::api_ip",
    "POST /cgi-bin/callback/check": "network::check",
    "POST /cgi-bin/openapi/quota/get": "quota::get",
    "POST /cgi-bin/clear_quota": "quota::clear",
    "POST /cgi-bin/openapi/rid/get": "rid::get",
}
SECRETS = {"access_token", "secret"}
FOLLOWERS = 2000


def demand(holds, sentence):
    if not holds:
        sys.stdout.flush()
        sys.exit(f"drive.py: {sentence}")


def write_line(line):
    print(json.dumps(line, ensure_ascii=False), flush=True)


def without_secrets(fields):
    return {name: value for name, value in fields.items() if name not in SECRETS}


def point_wechatpy_at(base_url):
    for owner, name in HOSTS:
        old = vars(owner)[name]
        if isinstance(old, str):
            new = PLATFORM.sub(base_url, old)
            demand(new != old, f"{owner.__name__}.{name} names no host of the platform")
            setattr(owner, name, new)
        else:
            texts = old.__code__.co_consts
            new = tuple(PLATFORM.sub(base_url, text) if isinstance(text, str) else text for text in texts)
            demand(new != texts, f"{owner.__name__}.{name} names no host of the platform")
            old.__code__ = old.__code__.replace(co_consts=new)


class Sdk:
    """The SDK's objects by name; every exchange that one of them makes becomes a line."""

    def __init__(self, base_url):
        self.base_url = base_url
        self.objects = {}
        self.called = None
        self.exchanges = []

    def watch(self, instance, name=None):
        instance._http.hooks["response"].append(self.write_down)
        if name:
            self.objects[name] = instance
        return instance

    def call(self, name, *arguments, on=None, **options):
        root, *path = name.split(".")
        self.called = name
        returned = reduce(getattr, path, on or self.objects[root])(*arguments, **options)
        return list(returned) if isgenerator(returned) else returned

    def write_down(self, response, **_):
        request, url = response.request, urlsplit(response.request.url)
        demand(request.url.startswith(self.base_url + "/"), f"{self.called} went to {url.netloc}")
        function = FUNCTIONS.get(f"{request.method} {url.path}")
        demand(function, f"{self.called} made a {request.method} of {url.path}, which is not declared")
        is_file = request.headers.get("Content-Type", "").startswith("multipart/")
        body = json.loads(request.body) if request.body and not is_file else None
        exchange = {
            "function": function,
            "sdk": "client.fetch_access_token" if function == "token::get" else self.called,
            "method": request.method,
            "path": url.path,
            "query": without_secrets(dict(parse_qsl(url.query, keep_blank_values=True))),
            "request": without_secrets(body) if body else body,
            "content_type": response.headers.get("Content-Type"),
            "answer": json.loads(response.content),
        }
        self.exchanges.append(exchange)
        write_line(exchange)

    def last(self, count):
        return [(made["function"], made["answer"].get("errcode")) for made in self.exchanges[-count:]]


class Drive:
    """One run: the account, the sandbox's own controls, and the SDK."""

    def __init__(self, base_url, appid, secret, callback_token, aes_key):
        self.base_url, self.appid, self.secret = base_url.rstrip("/"), appid, secret
        self.callback_token, self.aes_key = callback_token, aes_key
        point_wechatpy_at(self.base_url)
        self.control("POST", "reset")
        self.sdk = Sdk(self.base_url)
        self.call = self.sdk.call
        self.client = self.sdk.watch(WeChatClient(appid, secret), "client")
        self.openids = []
        self.pushes = 0

    def control(self, method, path, body=None):
        response = requests.request(method, f"{self.base_url}/__sandbox/{path}", json=body)
        demand(response.status_code == 200, f"the sandbox refused {method} {path}: {response.text}")
        return response.json()

    def is_ok(self, name, *arguments, **options):
        returned = self.call(name, *arguments, **options)
        demand(returned == {"errcode": 0, "errmsg": "ok"}, f"{name} gave {returned}")

    def is_refused(self, errcode, name, *arguments, error=WeChatClientException, **options):
        try:
            returned = self.call(name, *arguments, **options)
        except WeChatClientException as exception:
            demand(
                type(exception) is error and exception.errcode == errcode,
                f"{name} raised {exception!r}, not {error.__name__}({errcode})",
            )
            return exception
        demand(False, f"{name} gave {returned}, not {errcode}")


def a_token_is_fetched_when_it_is_needed(drive):
    drive.call("client.user.get_followers")
    demand(drive.sdk.last(2) == [("token::get", None), ("user::list", None)], "a token comes first")
    first = drive.client.access_token
    second = drive.call("client.fetch_access_token")
    demand(second["expires_in"] == 7200, f"a token lives two hours, not {second['expires_in']} seconds")
    demand(second["access_token"] != first, "a second fetch gave the first token again")
    demand(drive.client.access_token == second["access_token"], "the client did not keep its new token")
    old = drive.sdk.watch(WeChatClient(drive.appid, drive.secret, access_token=first))
    drive.call("client.tag.get", on=old)
    demand(drive.sdk.last(1) == [("tag::list", None)], "a replaced token does not work for five minutes")


def a_token_is_refused_to_a_stranger(drive):
    wrong_secret = drive.sdk.watch(WeChatClient(drive.appid, "0" * 32))
    drive.is_refused(40125, "client.fetch_access_token", on=wrong_secret)
    wrong_appid = drive.sdk.watch(WeChatClient("wx" + "0" * 16, drive.secret))
    drive.is_refused(40013, "client.fetch_access_token", on=wrong_appid)


def the_stable_token_is_the_same_for_everyone(drive):
    body = {"grant_type": "client_credential", "appid": drive.appid, "secret": drive.secret}
    first = drive.call("client.post", "stable_token", data=body)
    second = drive.call("client.post", "stable_token", data=body)
    demand(first["access_token"] == second["access_token"], "the stable token changed")
    stable = drive.sdk.watch(WeChatClient(drive.appid, drive.secret, access_token=first["access_token"]))
    drive.call("client.tag.get", on=stable)
    demand(drive.sdk.last(1) == [("tag::list", None)], "the stable token does not work")


def it_is_replaced_unasked(drive, errcode, client, why):
    drive.call("client.tag.get", on=client)
    expected = [("tag::list", errcode), ("token::get", None), ("tag::list", None)]
    demand(drive.sdk.last(3) == expected, f"{why}: {drive.sdk.last(3)}")


def a_bad_token_is_replaced_unasked(drive):
    def client_with(token, **options):
        return drive.sdk.watch(WeChatClient(drive.appid, drive.secret, access_token=token, **options))

    it_is_replaced_unasked(drive, 40001, client_with("96_" + "0" * 133), "an unknown token")
    it_is_replaced_unasked(drive, 40014, client_with("no token"), "a malformed token")
    drive.is_refused(40001, "client.tag.get", on=client_with("96_" + "0" * 133, auto_retry=False))
    drive.call("client.fetch_access_token")
    drive.control("POST", "tokens/revoke")
    it_is_replaced_unasked(drive, 40001, drive.client, "a revoked token")
    drive.control("POST", "clock", {"advance": "2h"})
    it_is_replaced_unasked(drive, 42001, drive.client, "an expired token")


def followers_are_listed(drive):
    everyone = drive.call("client.user.iter_followers")
    demand(len(set(everyone)) == len(everyone) == FOLLOWERS, f"there are {len(everyone)} followers")
    demand(drive.sdk.last(2) == [("user::list", None)] * 2, "a page that is empty ends the list")
    empty = drive.sdk.exchanges[-1]["answer"]
    demand(empty == {"total": FOLLOWERS, "count": 0, "next_openid": ""}, f"the empty page is {empty}")
    page = drive.call("client.user.get_followers", everyone[999])
    demand(page["data"]["openid"] == everyone[1000:], "a page goes on after the openid that it is given")
    demand(page["count"] == FOLLOWERS - 1000 and page["total"] == FOLLOWERS, "the page counts itself")
    demand(page["next_openid"] == everyone[-1], "the last page names its last openid")
    drive.openids = everyone


def a_follower_is_looked_at(drive):
    openid = drive.openids[0]
    for lang in ("zh_CN", "zh_TW", "en"):
        user = drive.call("client.user.get", openid, lang=lang)
        demand(user["openid"] == openid and user["subscribe"] == 1, f"{openid} is {user}")
    demand(user["tagid_list"] == [] and user["groupid"] == 0, "a new follower has no tags")
    drive.is_refused(40003, "client.user.get", "nobody")
    drive.is_refused(40003, "client.user.get", somebody_else(openid))


def somebody_else(openid):
    return openid[:-1] + ("A" if openid[-1] == "B" else "B")


def followers_are_looked_at_together(drive):
    asked = drive.openids[:100]
    users = drive.call("client.user.get_batch", asked)
    demand([user["openid"] for user in users] == asked, "get_batch gives whom it was asked for")
    asked = [{"openid": openid, "lang": "en"} for openid in drive.openids[:2]]
    asked.append({"openid": somebody_else(drive.openids[0]), "lang": "en"})
    subscribed = [user["subscribe"] for user in drive.call("client.user.get_batch", asked)]
    demand(subscribed == [1, 1, 0], f"two followers and a stranger are {subscribed}")
    drive.is_refused(40032, "client.user.get_batch", drive.openids[:101])
    drive.is_refused(40003, "client.user.get_batch", [drive.openids[0], "nobody"])


def a_remark_is_written_and_wiped(drive):
    openid = drive.openids[1]
    for remark in ("老王 & <儿子>", ""):
        drive.is_ok("client.user.update_remark", openid, remark)
        user = drive.call("client.user.get", openid)
        demand(user["remark"] == remark, f"the remark is {user['remark']}, not {remark}")
    drive.is_refused(40092, "client.user.update_remark", openid, "长" * 11)


def somebody_leaves_and_comes_back(drive):
    openid = drive.openids[2]
    drive.control("POST", "followers", {"openid": openid, "subscribe": 0})
    user = drive.call("client.user.get", openid)
    demand(user == {"subscribe": 0, "openid": openid, "tagid_list": []}, f"who left is {user}")
    drive.is_refused(43004, "client.user.update_remark", openid, "走了")
    drive.control("POST", "followers", {"openid": openid, "subscribe": 1})
    demand(drive.call("client.user.get", openid)["subscribe"] == 1, f"{openid} did not come back")


def the_tag(drive, tag_id):
    return next((tag for tag in drive.call("client.tag.get") if tag["id"] == tag_id), None)


def a_tag_is_made_and_renamed(drive):
    made = drive.call("client.tag.create", "贵宾")
    demand(set(made) == {"id", "name"} and made["name"] == "贵宾", f"the tag is {made}")
    demand(the_tag(drive, made["id"]) == {**made, "count": 0}, "the list has not got the new tag")
    drive.is_ok("client.tag.update", made["id"], "老客户 <&>")
    demand(the_tag(drive, made["id"])["name"] == "老客户 <&>", "the tag kept its old name")
    drive.is_refused(45157, "client.tag.create", "老客户 <&>")
    drive.is_refused(45158, "client.tag.create", "签" * 11)
    drive.is_refused(45058, "client.tag.update", 2, "星星")
    return made["id"]


def a_tag_is_put_on_followers(drive, tag_id):
    alone, together = drive.openids[0], drive.openids[1:50]
    drive.is_ok("client.tag.tag_user", tag_id, alone)
    drive.is_ok("client.tag.tag_user", tag_id, together)
    demand(drive.call("client.tag.get_user_tag", alone) == [tag_id], f"{alone} has not got the tag")
    demand(drive.call("client.user.get", alone)["tagid_list"] == [tag_id], "user.get shows no tag")
    demand(the_tag(drive, tag_id)["count"] == 50, "the tag does not count its fifty followers")
    drive.is_refused(40032, "client.tag.tag_user", tag_id, drive.openids[:51])
    drive.is_refused(40003, "client.tag.tag_user", tag_id, "nobody")
    drive.is_refused(45159, "client.tag.tag_user", 99_999, alone)


def a_tags_followers_are_listed(drive, tag_id):
    page = drive.call("client.tag.get_tag_users", tag_id)
    demand(page["count"] == 50 and "total" not in page, f"the page says {page}")
    everyone = drive.call("client.tag.iter_tag_users", tag_id)
    demand(everyone == drive.openids[:50], "iter_tag_users gives others than were tagged")
    empty = drive.sdk.exchanges[-1]["answer"]
    demand(empty == {"count": 0}, f"the empty page is {empty}")
    rest = drive.call("client.tag.get_tag_users", tag_id, first_user_id=everyone[9])
    demand(rest["data"]["openid"] == everyone[10:], "a page goes on after the openid that it is given")
    drive.is_refused(45159, "client.tag.get_tag_users", 99_999)


def a_tag_is_put_on_all_but_one(drive, tag_id):
    asked = drive.openids[50:53]
    fault = {"path": "/cgi-bin/tags/members/batchtagging", "errcode": 45171, "openid": asked[1], "times": 1}
    drive.control("POST", "faults", fault)
    exception = drive.is_refused(45171, "client.tag.tag_user", tag_id, asked)
    failed = exception.response.json()["fail_openid_list"]
    demand(failed == asked[1:2], f"the answer names {failed}")
    tags = [drive.call("client.tag.get_user_tag", openid) for openid in asked]
    demand(tags == [[tag_id], [], [tag_id]], f"their tags are {tags}")
    drive.is_ok("client.tag.untag_user", tag_id, [asked[0], asked[2]])


def a_tag_is_taken_off_and_deleted(drive, tag_id):
    alone, together = drive.openids[0], drive.openids[1:50]
    drive.is_ok("client.tag.untag_user", tag_id, alone)
    demand(drive.call("client.tag.get_user_tag", alone) == [], f"{alone} has kept the tag")
    drive.is_ok("client.tag.untag_user", tag_id, together)
    demand(the_tag(drive, tag_id)["count"] == 0, "the tag counts followers that it has lost")
    drive.is_ok("client.tag.delete", tag_id)
    demand(the_tag(drive, tag_id) is None, "the list has got the deleted tag")
    drive.is_refused(45159, "client.tag.delete", tag_id)
    drive.is_refused(45058, "client.tag.delete", 2)


def calls_run_out(drive):
    drive.control("POST", "faults", {"path": "/cgi-bin/tags/get", "errcode": 45009, "times": 1})
    drive.is_refused(45009, "client.tag.get", error=APILimitedException)


def people_are_blacklisted_and_released(drive):
    people = drive.openids[10:30]
    demand(drive.call("client.tag.get_black_list")["count"] == 0, "the blacklist is not empty")
    drive.is_ok("client.tag.batch_black_list", people)
    page = drive.call("client.tag.get_black_list")
    demand(page["data"]["openid"] == people and page["total"] == 20, f"the blacklist is {page}")
    rest = drive.call("client.tag.get_black_list", people[4])
    demand(rest["data"]["openid"] == people[5:], "a page goes on after the openid that it is given")
    empty = drive.call("client.tag.get_black_list", page["next_openid"])
    demand(empty["count"] == 0 and "data" not in empty, f"the empty page is {empty}")
    drive.is_ok("client.tag.batch_unblack_list", people[:5])
    page = drive.call("client.tag.get_black_list")
    demand(page["data"]["openid"] == people[5:], "who was released is still on the blacklist")
    drive.is_ok("client.tag.batch_unblack_list", people[5:])
    demand(drive.call("client.tag.get_black_list")["total"] == 0, "somebody is left on the blacklist")
    drive.is_refused(40032, "client.tag.batch_black_list", drive.openids[:21])
    drive.is_refused(40003, "client.tag.batch_black_list", ["nobody"])


def codes_are_made(drive):
    codes = [
        {"expire_seconds": 1800, "action_name": "QR_SCENE", "action_info": {"scene": {"scene_id": 123}}},
        {"expire_seconds": 60, "action_name": "QR_STR_SCENE", "action_info": {"scene": {"scene_str": "展台"}}},
        {"action_name": "QR_LIMIT_SCENE", "action_info": {"scene": {"scene_id": 100_000}}},
        {"action_name": "QR_LIMIT_STR_SCENE", "action_info": {"scene": {"scene_str": "门口"}}},
    ]
    for code in codes:
        made = drive.call("client.qrcode.create", code)
        demand(made.get("expire_seconds") == code.get("expire_seconds"), f"the code is {made}")
        demand(made["url"].startswith("http://weixin.qq.com/q/"), f"the code says {made['url']}")
        demand(quote(made["ticket"]) in drive.client.qrcode.get_url(made), "its picture has no address")
    drive.is_refused(40052, "client.qrcode.create", {**codes[0], "action_name": "QR"})
    nothing = {**codes[0], "action_info": {"scene": {"scene_id": 0}}}
    drive.is_refused(40053, "client.qrcode.create", nothing)


def somebody_follows_by_a_code(drive):
    code = {"action_name": "QR_STR_SCENE", "action_info": {"scene": {"scene_str": "展台-01"}}}
    made = drive.call("client.qrcode.create", code)
    newcomer = drive.control("POST", "scan", {"ticket": made["ticket"]})["openid"]
    user = drive.call("client.user.get", newcomer)
    demand(user["subscribe_scene"] == "ADD_SCENE_QR_CODE", f"they came by {user['subscribe_scene']}")
    demand((user["qr_scene"], user["qr_scene_str"]) == (0, "展台-01"), f"their scene is {user}")


def a_picture(side):
    """A PNG of one colour."""

    def chunk(name, content):
        body = name + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x63\xb3\x59" * side) * side
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def a_picture_is_uploaded(drive):
    url = drive.call("client.media.upload_image", io.BytesIO(a_picture(300)))
    demand(re.match(r"http://mmbiz\.qpic\.cn/", url), f"the picture is at {url}")
    named = ("logo.png", a_picture(8), "image/png")
    other = drive.call("client.media.upload_mass_image", named)
    demand(other != url, "two pictures have one address")
    return url


def a_member_card(logo_url):
    base_info = {
        "logo_url": logo_url,
        "brand_name": "微信餐厅",
        "code_type": "CODE_TYPE_BARCODE",
        "title": "会员卡",
        "color": "Color010",
        "notice": "使用时向服务员出示此卡",
        "description": "不可与其他优惠同享\n店内均可使用",
        "date_info": {"type": "DATE_TYPE_PERMANENT"},
        "sku": {"quantity": 50_000_000},
        "get_limit": 1,
        "use_custom_code": False,
        "can_give_friend": True,
    }
    member_card = {
        "base_info": base_info,
        "prerogative": "消费满十次送一次",
        "supply_bonus": False,
        "supply_balance": False,
        "auto_activate": True,
    }
    return {"card": {"card_type": "MEMBER_CARD", "member_card": member_card}}


def a_card_is_made(drive, logo_url):
    card_id = drive.call("client.card.create", a_member_card(logo_url))
    demand(re.fullmatch(r"p[\w-]{27}", card_id), f"the card's id is {card_id}")
    kept = {entry["card_id"]: entry["card"] for entry in drive.control("GET", "cards")}
    demand(kept.get(card_id) == a_member_card(logo_url)["card"], "the sandbox kept another card")
    for field, value, errcode in [
        ("title", None, 41011),
        ("title", "会" * 10, 45021),
        ("color", "Color999", 40076),
        ("sku", {"quantity": 100_000_001}, 40122),
    ]:
        card = a_member_card(logo_url)
        base_info = card["card"]["member_card"]["base_info"]
        base_info.pop(field)
        if value:
            base_info[field] = value
        drive.is_refused(errcode, "client.card.create", card)


def the_platform_says_where_it_is(drive):
    for addresses in (
        drive.call("client.misc.get_wechat_ips"),
        drive.call("client.get", "get_api_domain_ip")["ip_list"],
    ):
        are_addresses = all(re.fullmatch(r"[\d.]+(/\d+)?", address) for address in addresses)
        demand(addresses and are_addresses, f"the addresses are {addresses}")
    body = {"action": "all", "check_operator": "DEFAULT"}
    found = drive.call("client.post", "callback/check", data=body)
    demand(found["dns"][0]["ip"] and found["ping"][0]["package_loss"] == "0%", f"the check found {found}")
    drive.is_refused(40203, "client.post", "callback/check", data={**body, "check_operator": "X"})


def quotas_are_counted_and_set_back(drive):
    def used():
        asked = {"cgi_path": "/cgi-bin/user/get"}
        quota = drive.call("client.post", "openapi/quota/get", data=asked)["quota"]
        demand(quota["used"] + quota["remain"] == quota["daily_limit"] == 500, f"the quota is {quota}")
        return quota["used"]

    before = used()
    drive.call("client.user.get_followers")
    demand(before > 0 and used() == before + 1, "the quota did not count a call")
    drive.is_ok("client.post", "clear_quota", data={"appid": drive.appid})
    demand(used() == 0, "the quota was not set back")
    drive.is_refused(76003, "client.post", "openapi/quota/get", data={"cgi_path": "cgi-bin/user/get"})


def a_refused_call_is_looked_up(drive):
    refused = drive.is_refused(40003, "client.user.get", "nobody")
    rid = re.search(r"rid: ([\da-f]{8}-[\da-f]{8}-[\da-f]{8})$", refused.errmsg)
    demand(rid, f"there is no rid in {refused.errmsg}")
    found = drive.call("client.post", "openapi/rid/get", data={"rid": rid[1]})
    demand("openid=nobody" in found["request"]["request_url"], f"the rid stands for {found}")
    drive.is_refused(76001, "client.post", "openapi/rid/get", data={"rid": "00000000-00000000-00000000"})


def a_code_from_the_page(drive, oauth):
    page = requests.get(oauth.authorize_url, allow_redirects=False)
    demand(page.status_code == 302, f"the authorize page answered {page.status_code}: {page.text}")
    address = page.headers["Location"]
    demand(address.startswith(oauth.redirect_uri), f"the page sends people to {address}")
    query = dict(parse_qsl(urlsplit(address).query))
    demand(query["state"] == oauth.state, f"the state came back as {query['state']}")
    return query["code"]


def somebody_authorizes_silently(drive):
    back = "http://127.0.0.1/back?to=%E7%94%B2"
    oauth = WeChatOAuth(drive.appid, drive.secret, back, scope="snsapi_base", state="a1B2")
    drive.sdk.watch(oauth, "oauth")
    code = a_code_from_the_page(drive, oauth)
    granted = drive.call("oauth.fetch_access_token", code)
    demand(granted["scope"] == "snsapi_base" and granted["expires_in"] == 7200, f"granted is {granted}")
    demand(granted["openid"] in drive.openids, f"{granted['openid']} is no follower")
    demand(drive.call("oauth.check_access_token") is True, "the token is not good")
    drive.is_refused(40163, "oauth.fetch_access_token", code, error=WeChatOAuthException)
    drive.is_refused(40029, "oauth.fetch_access_token", "0" * 32, error=WeChatOAuthException)
    drive.is_refused(48001, "oauth.get_user_info", error=WeChatOAuthException)


def somebody_authorizes_their_profile(drive):
    openid = drive.openids[7]
    order = {"scope": "snsapi_userinfo", "openid": openid}
    oauth = WeChatOAuth(drive.appid, drive.secret, "http://127.0.0.1/back", scope="snsapi_userinfo")
    drive.sdk.watch(oauth, "oauth")
    granted = drive.call("oauth.fetch_access_token", drive.control("POST", "oauth/code", order)["code"])
    demand(granted["openid"] == openid, f"the code was {granted['openid']}'s")
    refreshed = drive.call("oauth.refresh_access_token", granted["refresh_token"])
    demand(refreshed["access_token"] == granted["access_token"], "a live token was replaced")
    for lang in ("zh_CN", "en"):
        profile = drive.call("oauth.get_user_info", lang=lang)
        is_whole = profile["nickname"] and profile["sex"] == 0 and profile["privilege"] == []
        demand(profile["openid"] == openid and is_whole, f"the profile is {profile}")
    drive.is_refused(40030, "oauth.refresh_access_token", "0", error=WeChatOAuthException)
    other = drive.openids[8]
    drive.is_refused(40003, "oauth.check_access_token", other, error=WeChatOAuthException)
    drive.is_refused(40003, "oauth.get_user_info", other, error=WeChatOAuthException)
    a_third_party_sees_the_same_profile(drive, granted, profile)


def a_third_party_sees_the_same_profile(drive, granted, profile):
    component = WeChatComponent("wx" + "1" * 16, "0" * 32, drive.callback_token, drive.aes_key)
    drive.sdk.watch(component.get_component_oauth(drive.appid), "component_oauth")
    user = (granted["openid"], granted["access_token"])
    seen = drive.call("component_oauth.get_user_info", *user, lang="en")
    demand(seen == profile, f"a third party sees {seen}")


SOMETHING = object()
CARD_ID = "pFS7Fjg8kV1IdDz01r4SQwMkuCKc"
BUTTON = {"EventKey": "6"}
CARD = {"CardId": CARD_ID, "UserCardCode": "12312312"}


def event(name, **fields):
    return {"MsgType": "event", "Event": name, **fields}


def message(msg_type, **fields):
    return {"MsgType": msg_type, **fields}


# What is pushed, the class that it must come out as, and what its attributes must be.
PUSHES = [
    (message("text", Content="你好"), messages.TextMessage, {"content": "你好"}),
    (message("text", Content="一 < 二 && \"三\" 😀\n四"), messages.TextMessage,
     {"content": "一 < 二 && \"三\" 😀\n四"}),
    (message("image"), messages.ImageMessage, {"image": SOMETHING, "media_id": SOMETHING}),
    (message("voice", Recognition="腾讯微信团队"), messages.VoiceMessage,
     {"media_id": SOMETHING, "format": "amr", "recognition": "腾讯微信团队"}),
    (message("voice"), messages.VoiceMessage, {"media_id": SOMETHING, "recognition": None}),
    (message("video"), messages.VideoMessage, {"media_id": SOMETHING, "thumb_media_id": SOMETHING}),
    (message("shortvideo"), messages.ShortVideoMessage,
     {"media_id": SOMETHING, "thumb_media_id": SOMETHING}),
    (message("location", Location_X="23.134521", Location_Y="113.358803", Scale=20, Label="广州市"),
     messages.LocationMessage,
     {"location": ("23.134521", "113.358803"), "scale": "20", "label": "广州市"}),
    (message("link", Title="<b>甲</b> & ]]> 乙", Url="https://example.com/?a=1&b=2"), messages.LinkMessage,
     {"title": "<b>甲</b> & ]]> 乙", "description": SOMETHING, "url": "https://example.com/?a=1&b=2"}),
    (event("subscribe"), events.SubscribeEvent, {"event": "subscribe", "key": ""}),
    (event("unsubscribe"), events.UnsubscribeEvent, {"event": "unsubscribe"}),
    (event("subscribe", EventKey="qrscene_98765", Ticket="gQH4ticket"), events.SubscribeScanEvent,
     {"event": "subscribe_scan", "scene_id": "98765", "ticket": "gQH4ticket"}),
    (event("SCAN", EventKey="98765"), events.ScanEvent, {"scene_id": "98765", "ticket": SOMETHING}),
    (event("LOCATION", Latitude="23.137466", Longitude="113.352425", Precision="119.385040"),
     events.LocationEvent, {"latitude": 23.137466, "longitude": 113.352425, "precision": 119.38504}),
    (event("CLICK", EventKey="V1001_TODAY"), events.ClickEvent, {"key": "V1001_TODAY"}),
    (event("VIEW", EventKey="https://example.com/?a=1&b=2"), events.ViewEvent,
     {"url": "https://example.com/?a=1&b=2"}),
    (event("scancode_push", **BUTTON), events.ScanCodePushEvent,
     {"key": "6", "scan_type": "qrcode", "scan_result": SOMETHING}),
    (event("scancode_waitmsg", **BUTTON), events.ScanCodeWaitMsgEvent,
     {"key": "6", "scan_type": "qrcode", "scan_result": SOMETHING}),
    (event("pic_sysphoto", **BUTTON), events.PicSysPhotoEvent,
     {"key": "6", "count": 1, "pictures": SOMETHING}),
    (event("pic_photo_or_album", **BUTTON), events.PicPhotoOrAlbumEvent,
     {"key": "6", "count": 1, "pictures": SOMETHING}),
    (event("pic_weixin", SendPicsInfo={"Count": 2, "PicList": [{"PicMd5Sum": "0a"}, {"PicMd5Sum": "0b"}]}),
     events.PicWeChatEvent, {"count": 2, "pictures": [{"PicMd5Sum": "0a"}, {"PicMd5Sum": "0b"}]}),
    (event("view_miniprogram", EventKey="pages/index/index"), events.ViewMiniProgramEvent,
     {"page_path": "pages/index/index", "menu_id": SOMETHING}),
    (event("TEMPLATESENDJOBFINISH", MsgID=200163836, Status="failed:user block"),
     events.TemplateSendJobFinishEvent, {"id": 200163836, "status": "failed:user block"}),
    (event("MASSSENDJOBFINISH", MsgID=1000001625, TotalCount=100, FilterCount=80, SentCount=75, ErrorCount=5),
     events.MassSendJobFinishEvent,
     {"id": 1000001625, "status": SOMETHING, "total_count": 100, "filter_count": 80, "sent_count": 75,
      "error_count": 5}),
    (event("card_pass_check", CardId=CARD_ID), events.CardPassCheckEvent, {"card_id": CARD_ID}),
    (event("card_not_pass_check", CardId=CARD_ID, RefuseReason="非法代制"), events.CardNotPassCheckEvent,
     {"card_id": CARD_ID, "refuse_reason": "非法代制"}),
    (event("user_get_card", **CARD, OuterStr="12b"), events.UserGetCardEvent,
     {"card_id": CARD_ID, "code": "12312312", "outer_str": "12b"}),
    (event("user_gifting_card", **CARD), events.UserGiftingCardEvent,
     {"card_id": CARD_ID, "code": "12312312"}),
    (event("user_del_card", **CARD), events.UserDeleteCardEvent,
     {"card_id": CARD_ID, "code": "12312312"}),
    (event("user_consume_card", **CARD, ConsumeSource="FROM_API"), events.UserConsumeCardEvent,
     {"card_id": CARD_ID, "code": "12312312", "consume_source": "FROM_API"}),
    (event("card_sku_remind", CardId=CARD_ID), events.CardSkuRemindEvent,
     {"card_id": CARD_ID, "detail": SOMETHING}),
    (event("user_pay_from_pay_cell", **CARD, Fee=10000), events.UserPayFromPayCell,
     {"card_id": CARD_ID, "code": "12312312", "fee": 10000}),
    (event("user_view_card", **CARD), events.UserViewCard, {"card_id": CARD_ID, "code": "12312312"}),
    (event("user_enter_session_from_card", **CARD), events.UserEnterSessionFromCardEvent,
     {"card_id": CARD_ID, "code": "12312312"}),
    (event("update_member_card", **CARD, ModifyBonus=3), events.UpdateMemberCard,
     {"card_id": CARD_ID, "code": "12312312", "modify_bonus": 3}),
    (event("submit_membercard_user_info", **CARD), events.SubmitMembercardUserInfo,
     {"card_id": CARD_ID, "card_code": "12312312"}),
]

Received = namedtuple("Received", "query headers outer message")


class Receiver(ThreadingHTTPServer):
    """A developer's server, as wechatpy's users write one."""

    daemon_threads = True

    def __init__(self, token, aes_key, appid):
        super().__init__(("127.0.0.1", 0), Request)
        self.token, self.crypto = token, WeChatCrypto(token, aes_key, appid)
        self.received = []
        self.url = f"http://127.0.0.1:{self.server_port}/wx"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Request(BaseHTTPRequestHandler):
    """A request of the platform. One that can't be read is dropped, with its traceback on stderr."""

    def do_GET(self):
        self.answer(self.signed_query()["echostr"])

    def do_POST(self):
        query = self.signed_query()
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        is_encrypted = query.get("encrypt_type") == "aes"
        text = self.decrypted(body, query) if is_encrypted else body
        pushed = parse_message(text)
        outer = dict(xmltodict.parse(body)["xml"])
        self.server.received.append(Received(query, self.headers, outer, pushed))
        reply = "success"
        if pushed.type == "text":
            reply = create_reply(f"收到：{pushed.content}", pushed).render()
            if is_encrypted:
                reply = self.server.crypto.encrypt_message(reply, query["nonce"], query["timestamp"])
        self.answer(reply)

    def signed_query(self):
        query = dict(parse_qsl(urlsplit(self.path).query))
        check_signature(self.server.token, query["signature"], query["timestamp"], query["nonce"])
        return query

    def decrypted(self, body, query):
        signed = (query["msg_signature"], query["timestamp"], query["nonce"])
        return self.server.crypto.decrypt_message(body, *signed)

    def answer(self, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def the_url_is_checked(drive, receiver):
    said = drive.control("POST", "push", {"url": receiver.url, "check": True})
    demand(said == {"ok": True}, f"the check of the URL said {said}")


def everything_is_pushed(drive, receiver):
    ids = Counter()
    for mode in ("plain", "compatible", "safe"):
        for given, kind, attributes in PUSHES:
            openid = drive.openids[drive.pushes]
            where = f"{given} in mode {mode}"
            order = {"url": receiver.url, "openid": openid, "mode": mode, "message": given}
            said = drive.control("POST", "push", order)
            is_answered = (said.get("ok"), said.get("tries"), said.get("status")) == (True, 1, 200)
            demand(is_answered, f"the push of {where} came to {said}")
            demand(len(receiver.received) == drive.pushes + 1, f"{where} did not come exactly once")
            received = receiver.received[-1]
            it_came_as_the_platform_sends_it(received, mode, openid, where)
            it_was_read_as(received.message, kind, attributes, where)
            it_was_replied_to(received.message, said["reply"], where)
            if given["MsgType"] != "event":
                ids[received.message.id] += 1
            drive.pushes += 1
            label = "/".join(filter(None, [given["MsgType"], given.get("Event")]))
            write_line({"push": label, "mode": mode, "class": type(received.message).__name__})
    demand(max(ids.values()) == 1 and min(ids) > 0, "two messages have the same MsgId")


def it_came_as_the_platform_sends_it(received, mode, openid, where):
    query, headers, outer, pushed = received
    demand(query["openid"] == openid, f"the query of {where} names {query['openid']}")
    demand(0 <= int(query["timestamp"]) - pushed.time <= 1, f"the times of {where} differ")
    demand(headers["Content-Type"] == "text/xml", f"{where} is {headers['Content-Type']}")
    demand(headers["User-Agent"] == "Mozilla/4.0", f"{where} comes from {headers['User-Agent']}")
    demand((query.get("encrypt_type") == "aes") == (mode != "plain"), f"the query of {where} is {query}")
    demand(("Encrypt" in outer) == (mode != "plain"), f"the body of {where} is {outer}")
    demand(outer["ToUserName"] == pushed.target, f"{where} is addressed to {outer['ToUserName']}")
    if mode == "safe":
        demand(set(outer) == {"ToUserName", "Encrypt"}, f"the body of {where} shows {outer}")
    if mode == "compatible":
        readable = parse_message(xmltodict.unparse({"xml": outer}))
        demand(readable.source == openid, f"the readable half of {where} is {outer}")
        demand(type(readable) is type(pushed), f"the two halves of {where} are not the same")


def it_was_read_as(pushed, kind, attributes, where):
    demand(type(pushed) is kind, f"{where} was read as {pushed!r}")
    for name, expected in attributes.items():
        value = getattr(pushed, name)
        is_right = bool(value) if expected is SOMETHING else value == expected
        demand(is_right, f"{name} of {where} is {value!r}")


def it_was_replied_to(pushed, reply, where):
    if pushed.type != "text":
        demand(reply == "success", f"the reply to {where} arrived as {reply}")
        return
    read = deserialize_reply(reply)
    demand(isinstance(read, TextReply), f"the reply to {where} arrived as {reply}")
    demand(read.content == f"收到：{pushed.content}", f"the reply to {where} says {read.content}")
    are_swapped = (read.source, read.target) == (pushed.target, pushed.source)
    demand(are_swapped, f"the reply to {where} goes from {read.source} to {read.target}")


def every_function_was_called(drive):
    missing = set(FUNCTIONS.values()) - {exchange["function"] for exchange in drive.sdk.exchanges}
    demand(not missing, f"nothing called {sorted(missing)}")


def main(arguments):
    demand(len(arguments) == 5, "usage: drive.py BASE_URL APPID SECRET CALLBACK_TOKEN AES_KEY")
    drive = Drive(*arguments)
    a_token_is_fetched_when_it_is_needed(drive)
    a_token_is_refused_to_a_stranger(drive)
    the_stable_token_is_the_same_for_everyone(drive)
    followers_are_listed(drive)
    a_follower_is_looked_at(drive)
    followers_are_looked_at_together(drive)
    a_remark_is_written_and_wiped(drive)
    somebody_leaves_and_comes_back(drive)
    tag_id = a_tag_is_made_and_renamed(drive)
    a_tag_is_put_on_followers(drive, tag_id)
    a_tags_followers_are_listed(drive, tag_id)
    a_tag_is_put_on_all_but_one(drive, tag_id)
    a_tag_is_taken_off_and_deleted(drive, tag_id)
    calls_run_out(drive)
    people_are_blacklisted_and_released(drive)
    codes_are_made(drive)
    somebody_follows_by_a_code(drive)
    a_card_is_made(drive, a_picture_is_uploaded(drive))
    the_platform_says_where_it_is(drive)
    quotas_are_counted_and_set_back(drive)
    a_refused_call_is_looked_up(drive)
    somebody_authorizes_silently(drive)
    somebody_authorizes_their_profile(drive)
    a_bad_token_is_replaced_unasked(drive)
    every_function_was_called(drive)
    receiver = Receiver(drive.callback_token, drive.aes_key, drive.appid)
    the_url_is_checked(drive, receiver)
    everything_is_pushed(drive, receiver)
    write_line({"done": True, "exchanges": len(drive.sdk.exchanges), "pushes": drive.pushes})


if __name__ == "__main__":
    os.environ["no_proxy"] = "127.0.0.1"
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stderr.reconfigure(encoding="utf-8")
    main(sys.argv[1:])
