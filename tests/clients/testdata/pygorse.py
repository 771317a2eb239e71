"""Calls each method of PyGorse's clients, unchanged, and prints what came of it.

Usage: pygorse.py BASE. The output is JSON: the methods of each class, and
{"class", "method", "problem"} of each call, where "problem" is "" for one that
did what Gorse's documentation says.
"""

import asyncio
import inspect
import json
import sys
import time

import gorse

BASE = sys.argv[1]
TIME = "2026-01-02T03:04:05Z"


class Awaited:
    """An AsyncGorse whose methods wait."""

    def __init__(self, client):
        self.client = client

    def __getattr__(self, name):
        method = getattr(self.client, name)
        return lambda *args, **named: asyncio.run(method(*args, **named))


def methods(cls):
    return sorted(name for name, _ in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_"))


def wait(condition):
    """Waits for what the pipelines do a moment after an answer."""
    deadline = time.monotonic() + 20
    while True:
        try:
            if condition():
                return
        except gorse.GorseException as error:
            if error.status_code != 404:
                raise
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def gone(call):
    try:
        call()
    except gorse.GorseException as error:
        return error.status_code == 404
    return False


def feedback(kind, user, item, **more):
    return {"FeedbackType": kind, "UserId": user, "ItemId": item, "Timestamp": TIME, **more}


def of_types(c, user):
    return sorted((f["FeedbackType"], f["ItemId"]) for f in c.list_feedbacks("read", user) + c.list_feedbacks("rate", user))


def checks(c, user, item):
    """Yields a method and what must hold of it. user and item are new ones."""
    written = {"RowAffected": 1}

    yield "insert_feedback", lambda: c.insert_feedback("read", user, "1", TIME) == written
    yield "insert_feedbacks", lambda: c.insert_feedbacks(
        [feedback("rate", user, "318", Value=4.5), feedback("click", user, "593")]) == {"RowAffected": 2}

    def listed():
        wait(lambda: of_types(c, user) == [("rate", "318"), ("view", "1"), ("view", "593")])
        return c.list_feedbacks("rate", user)[0]["Value"] == 4.5
    yield "list_feedbacks", listed

    def paged():
        found, cursor = [], ""
        while True:
            some, cursor = c.get_feedbacks(2, cursor)
            found += [f for f in some if f["UserId"] == user]
            if not cursor:
                return len(found) == 3
    yield "get_feedbacks", paged

    def recommended():
        best = c.get_recommend(user, n=3)
        later = c.get_recommend(user, n=2, offset=1)
        horror = c.get_recommend("1", category="Horror")
        back = c.get_recommend(user, n=1, write_back_type="read", write_back_delay="10m")
        return (len(best) == 3 and isinstance(best[0].score, (int, float)) and [s.id for s in later] == [s.id for s in best[1:]]
                and "318" not in [s.id for s in best] and [s.id for s in horror] == ["593"] and len(back) == 1)
    yield "get_recommend", lambda: wait(lambda: "318" not in [s.id for s in c.get_recommend(user, n=3)]) or recommended()
    yield "session_recommend", lambda: [
        set(s) for s in c.session_recommend([feedback("read", "", "1"), feedback("rate", "", "318", Value=5)], n=2)] == [{"Id", "Score"}] * 2
    yield "get_neighbors", lambda: c.get_neighbors("1", n=2)[1] == c.get_neighbors("1", n=1, offset=1)[0]

    def taken_back():
        if c.delete_feedback(user, "318") != written:
            return False
        wait(lambda: of_types(c, user) == [("view", "1"), ("view", "593")])
        return True
    yield "delete_feedback", taken_back

    yield "insert_item", lambda: c.insert_item({
        "ItemId": item, "IsHidden": False, "Labels": ["a", "b"], "Categories": ["Drama"], "Timestamp": TIME, "Comment": f"Movie {item} (2026)"}) == written
    yield "get_item", lambda: {key: c.get_item(item)[key] for key in ("ItemId", "IsHidden", "Labels", "Categories", "Timestamp", "Comment")} == {
        "ItemId": item, "IsHidden": False, "Labels": ["a", "b"], "Categories": ["Drama"], "Timestamp": TIME, "Comment": f"Movie {item} (2026)"}

    def all_items():
        found, cursor = [], ""
        while True:
            some, cursor = c.get_items(3, cursor)
            found += [i["ItemId"] for i in some]
            if not cursor:
                return item in found and len(found) == len(set(found))
    yield "get_items", all_items
    yield "search_items", lambda: [i["ItemId"] for i in c.search_items(f"movie {item}", n=5)] == [item]
    yield "update_item", lambda: c.update_item(item, categories=["War"], comment="Renamed (2026)") == written and (
        c.get_item(item)["Comment"], c.get_item(item)["Categories"], c.get_item(item)["Labels"]) == ("Renamed (2026)", ["War"], ["a", "b"])
    yield "delete_item", lambda: c.delete_item(item) == written and c.get_item(item)["IsHidden"]

    yield "insert_user", lambda: c.insert_user({"UserId": user, "Labels": {"plan": "free"}, "Subscribe": ["x"], "Comment": "Ann"}) == written
    yield "insert_users", lambda: c.insert_users([{"UserId": user + "1", "Labels": []}, {"UserId": user + "2"}]) == {"RowAffected": 2}

    def user_known():
        wait(lambda: c.get_user(user) == {"UserId": user, "Labels": {"plan": "free"}, "Comment": "Ann"})
        return True
    yield "get_user", user_known

    def all_users():
        def listed():
            found, cursor = [], ""
            while True:
                some, cursor = c.get_users(2, cursor)
                found += [u["UserId"] for u in some]
                if not cursor:
                    return {user, user + "1", user + "2"} <= set(found)
        wait(listed)
        return True
    yield "get_users", all_users

    def forgotten():
        if c.delete_user(user) != written:
            return False
        wait(lambda: gone(lambda: c.get_user(user)))
        return c.list_feedbacks("read", user) == []
    yield "delete_user", forgotten


def refused(call, status, words):
    try:
        call()
    except gorse.GorseException as error:
        return error.status_code == status and words in error.message
    return False


def differences(c, user, item):
    """Yields the name of what is not as in Gorse, and whether that is so."""
    c.insert_item({"ItemId": item, "Comment": f"Movie {item} (2026)"})
    c.insert_feedbacks([feedback("read", user, "1"), feedback("rate", user, "318", Value=4.5)])
    wait(lambda: len(of_types(c, user)) == 2)
    yield "ids that are no whole numbers", refused(lambda: c.get_user("ann"), 400, "give a whole number") and refused(
        lambda: c.insert_item({"ItemId": "a-b"}), 400, "is no id")
    yield "types of feedback without a meaning", refused(lambda: c.insert_feedback("star", user, "1", TIME), 400, "give rate")
    yield "read, click and watch", [f["FeedbackType"] for f in c.list_feedbacks("read", user)] == ["view"]
    c.delete_feedback(user, "318"), c.delete_feedback(user, "1")
    wait(lambda: of_types(c, user) == [("view", "1")])
    yield "delete_feedback", True
    c.delete_item(item)
    yield "delete_item", c.get_item(item)["IsHidden"]
    c.get_recommend(user, n=1, write_back_type="read")
    yield "write_back_type, write_back_delay", of_types(c, user) == [("view", "1")]
    c.insert_user({"UserId": user, "Subscribe": ["x"]})
    wait(lambda: "Subscribe" not in c.get_user(user))
    yield "Subscribe", True


def main():
    report = {"methods": {}, "calls": [], "differences": []}
    for cls, client, at in (
        (gorse.Gorse, gorse.Gorse(BASE, "a key, which nobody asks for", timeout=10), 700),
        (gorse.AsyncGorse, Awaited(gorse.AsyncGorse(BASE, "a key, which nobody asks for")), 800),
    ):
        report["methods"][cls.__name__] = methods(cls)
        for method, check in checks(client, str(at), str(900000 + at)):
            try:
                problem = "" if check() else "it did something else"
            except Exception as error:
                problem = f"{type(error).__name__}: {getattr(error, 'message', error)}"
            report["calls"].append({"class": cls.__name__, "method": method, "problem": problem})
    report["differences"] = [name for name, so in differences(gorse.Gorse(BASE, "", timeout=10), "790", "900790") if so]
    json.dump(report, sys.stdout)


main()
