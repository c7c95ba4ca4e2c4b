"""Tokens of users, and clients that depend on them: who ends them, and that nobody who is out comes back."""

from tests.integration.web.conftest import Caller, sign_in
from tests.integration.web.test_web_users import PASSWORD, log_in, make_user


def test_tokens_of_users_are_listed_and_ended_by_those_who_may_handle_them(root: Caller) -> None:
    ann_id, bob_id = make_user(root, "ann", "owner"), make_user(root, "bob", "contributor")
    ann, bob = log_in(root, "ann"), log_in(root, "bob")
    again = log_in(root, "ann")
    path = f"/api/v1/user/{ann_id}/token"
    first, second = (token["jti"] for token in bob("GET", path).json())
    assert bob("DELETE", f"{path}/{first}").status_code == 403
    assert ann("DELETE", f"{path}/{second}").status_code == 204
    assert ann("DELETE", f"{path}/{second}").status_code == 404
    assert [caller("GET", path).status_code for caller in (ann, again)] == [200, 401]
    (of_bob,) = ann("GET", f"/api/v1/user/{bob_id}/token").json()
    assert ann("DELETE", f"/api/v1/user/{bob_id}/token/{of_bob['jti']}").status_code == 204
    assert bob("GET", path).status_code == 401
    assert root("GET", "/api/v1/user/fid_x/token").status_code == 404


def test_users_are_no_clients(root: Caller) -> None:
    user_id = make_user(root, "ann", "owner")
    ann = log_in(root, "ann")
    (token,) = ann("GET", f"/api/v1/user/{user_id}/token").json()
    assert root("GET", f"/api/v1/oauth/client/{user_id}/token").status_code == 404
    assert root("DELETE", f"/api/v1/oauth/client/{user_id}/token/{token['jti']}").status_code == 404
    assert ann("GET", "/api/v1/policy").status_code == 200


def test_nobody_who_is_out_comes_back_through_a_client(root: Caller) -> None:
    ann_id = make_user(root, "ann", "contributor")
    ann = log_in(root, "ann")
    first = ann("POST", "/api/v1/oauth/client", json=["client:create", "policy:read"]).json()
    by_first = sign_in(root, first["client_id"], first["client_secret"])
    second = by_first("POST", "/api/v1/oauth/client", json=["policy:read"]).json()
    callers = [by_first, sign_in(root, second["client_id"], second["client_secret"])]
    shown = root("GET", "/api/v1/oauth/client").json()
    assert [client["secret_made_by"] for client in shown] == [ann_id, ann_id]

    def answers() -> list[int]:
        logins = [root("POST", "/api/v1/oauth/token", data=made) for made in (first, second)]
        used = [caller("GET", "/api/v1/policy") for caller in callers]
        return [answer.status_code for answer in (*logins, *used)]

    assert answers() == [200] * 4
    root("PUT", f"/api/v1/user/{ann_id}", json={"disabled": True})
    assert answers() == [401] * 4
    root("PUT", f"/api/v1/user/{ann_id}", json={"disabled": False})
    assert answers() == [200, 200, 401, 401]
    root("DELETE", f"/api/v1/user/{ann_id}")
    assert answers() == [401] * 4


def test_whoever_makes_a_new_secret_answers_for_the_client(root: Caller) -> None:
    ann_id = make_user(root, "ann", "contributor")
    made = log_in(root, "ann")("POST", "/api/v1/oauth/client", json=["policy:read"]).json()
    of_ann = sign_in(root, made["client_id"], made["client_secret"])
    renewed = root("POST", f"/api/v1/oauth/client/{made['client_id']}/secret").json()
    assert of_ann("GET", "/api/v1/policy").status_code == 401
    root("DELETE", f"/api/v1/user/{ann_id}")
    assert sign_in(root, renewed["client_id"], renewed["client_secret"])("GET", "/api/v1/policy").status_code == 200
    assert root("GET", f"/api/v1/oauth/client/{made['client_id']}").json()["secret_made_by"] is None


def test_a_client_may_do_no_more_than_the_user_who_made_its_secret(root: Caller) -> None:
    ann_id = make_user(root, "ann", "owner")
    ann = log_in(root, "ann")
    first = ann("POST", "/api/v1/oauth/client", json=["privacy-request:read", "client:create", "user:create"]).json()
    given_out = sign_in(root, first["client_id"], first["client_secret"])
    second = given_out("POST", "/api/v1/oauth/client", json=["user:create"]).json()
    by_second = sign_in(root, second["client_id"], second["client_secret"])
    number = iter(range(9))

    def creates(caller: Caller) -> int:
        draft = {"username": f"user{next(number)}", "password": PASSWORD}
        return caller("POST", "/api/v1/user", json=draft).status_code

    assert [creates(given_out), creates(by_second)] == [201, 201]
    root("PUT", f"/api/v1/user/{ann_id}/permission", json={"roles": ["approver"]})
    fresh = sign_in(root, first["client_id"], first["client_secret"])
    for caller in (given_out, fresh):
        assert caller("GET", "/api/v1/privacy-request").status_code == 200
        assert creates(caller) == 403
        assert caller("POST", "/api/v1/oauth/client", json=["user:create"]).status_code == 403
    assert creates(by_second) == 403

    root("PUT", f"/api/v1/user/{ann_id}/permission", json={"roles": ["owner"]})
    assert [creates(given_out), creates(fresh)] == [201, 403]  # a token never grows


def test_a_client_is_given_nothing_that_the_maker_of_its_secret_may_not(root: Caller) -> None:
    ann_id = make_user(root, "ann", "contributor")
    made = log_in(root, "ann")("POST", "/api/v1/oauth/client", json=["policy:read", "client:create"]).json()
    path = f"/api/v1/oauth/client/{made['client_id']}"
    wider = ["policy:read", "storage:create_or_update"]
    for refused in (
        root("PUT", f"{path}/scope", json=wider),
        root("PUT", path, json={"scopes": wider, "name": "Billing"}),
    ):
        assert refused.status_code == 409
        assert refused.json()["detail"] == (
            "the user who made this client's secret may not: storage:create_or_update"
            " (give the client a new secret first: then you answer for it)"
        )
    assert (root("GET", path).json()["scopes"], root("GET", path).json()["name"]) == (
        ["client:create", "policy:read"],
        None,
    )

    root("PUT", f"/api/v1/user/{ann_id}/permission", json={"roles": ["viewer"]})
    renamed = root("PUT", path, json={"scopes": ["policy:read", "client:create"], "name": "Billing"})
    assert renamed.status_code == 200  # what it has and does not work now is no grant
    assert root("PUT", f"{path}/scope", json=["policy:read"]).status_code == 200
    assert root("PUT", f"{path}/scope", json=["policy:read", "client:create"]).status_code == 409
    root("PUT", f"/api/v1/user/{ann_id}", json={"disabled": True})
    assert root("PUT", f"{path}/scope", json=["policy:read", "dataset:read"]).status_code == 409

    secret = root("POST", f"{path}/secret").json()["client_secret"]
    assert root("PUT", f"{path}/scope", json=wider).status_code == 200
    renewed = sign_in(root, made["client_id"], secret)
    item = [{"name": "Packages", "type": "local"}]
    assert renewed("PATCH", "/api/v1/storage/config", json=item).json()["failed"] == []
