"""Policies, rules and targets with the checks of control-plane §1.9; storages, which access rules need."""

from dataclasses import replace
from pathlib import Path

import pytest

from habeas.domain.errors import Conflict, NotFound
from habeas.domain.policy import Masking, SharedRows
from habeas.execution.context import Context
from habeas.execution.planning_input import load_policy
from habeas.services import policies, storages
from habeas.services.bulk import BulkResult
from habeas.services.fields import InvalidFields
from habeas.services.policies import MaskingDraft, PolicyDraft, RuleDraft, RuleView, TargetDraft, TargetView
from habeas.services.storages import StorageDraft
from habeas.settings import StorageSettings
from habeas.store import tables

WIPE = MaskingDraft(strategy="string_rewrite", configuration={"rewrite_value": "SECRET-WORD"})


@pytest.fixture(autouse=True)
def configured(context: Context) -> None:
    storages.save_storages(context, [StorageDraft(name="Packages", type="local")])
    policies.save_policies(context, [PolicyDraft(name="First"), PolicyDraft(name="Second")])


def save_rule(context: Context, policy: str = "first", **values: object) -> BulkResult[RuleView]:
    return policies.save_rules(context, policy, [RuleDraft(**values)])  # type: ignore[arg-type]


def add_erasure(context: Context, key: str, policy: str = "first") -> None:
    result = save_rule(context, policy, name=key, key=key, action_type="erasure", masking_strategy=WIPE)
    assert not result.failed


def add_target(context: Context, rule: str, category: str, **values: str) -> BulkResult[TargetView]:
    return policies.save_targets(context, "first", rule, [TargetDraft(data_category=category, **values)])


def test_a_whole_policy_is_shown_without_its_masking_configuration(context: Context) -> None:
    save_rule(context, name="Give", action_type="access", storage_destination_key="packages")
    add_erasure(context, "wipe")
    add_target(context, "wipe", "user.contact")
    shown = policies.find_policy(context, "first")
    assert [(rule.key, rule.action_type) for rule in shown.rules] == [("give", "access"), ("wipe", "erasure")]
    assert shown.rules[0].storage_destination is not None
    assert shown.rules[1].masking_strategy is not None
    assert shown.rules[1].masking_strategy.strategy == "string_rewrite"
    assert shown.rules[1].targets[0].name == "wipe-user.contact"
    assert "SECRET-WORD" not in repr(shown)


def test_the_planner_reads_what_was_saved(context: Context) -> None:
    add_erasure(context, "wipe")
    add_target(context, "wipe", "user.contact")
    with context.ledger.read() as connection:
        loaded = load_policy(connection, context.ledger.sealer, "first")
    assert loaded.rules[0].masking == Masking("string_rewrite", {"rewrite_value": "SECRET-WORD"})
    assert loaded.rules[0].categories == ("user.contact",)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"action_type": "update"}, "not supported"),
        ({"action_type": "access"}, "needs a storage destination"),
        ({"action_type": "access", "storage_destination_key": "nope"}, "no storage 'nope'"),
        ({"action_type": "access", "storage_destination_key": "packages", "masking_strategy": WIPE}, "must not have"),
        ({"action_type": "erasure"}, "needs a masking_strategy"),
        (
            {"action_type": "erasure", "masking_strategy": WIPE, "storage_destination_key": "packages"},
            "must not have a storage",
        ),
        ({"action_type": "erasure", "masking_strategy": MaskingDraft(strategy="shred")}, "masking strategy"),
        ({"action_type": "erasure", "masking_strategy": MaskingDraft(strategy="string_rewrite")}, "rewrite_value"),
        ({"action_type": "erasure", "masking_strategy": WIPE, "name": "a\x00b", "key": "k"}, "NUL"),
    ],
)
def test_an_unsound_rule_fails(context: Context, values: dict[str, object], reason: str) -> None:
    result = save_rule(context, **{"name": "Rule", **values})
    assert not result.succeeded
    assert reason in result.failed[0].message
    assert policies.find_policy(context, "first").rules == []


def test_an_access_rule_without_storage_uses_the_default_one(context: Context) -> None:
    settings = context.settings.model_copy(update={"storage": StorageSettings(default_key="packages")})
    defaulting = replace(context, settings=settings)
    assert save_rule(defaulting, name="Give", action_type="access").succeeded
    with pytest.raises(Conflict, match=r"storage\.default_key"):
        storages.delete_storage(defaulting, "packages")


def test_rules_and_targets_do_not_move(context: Context) -> None:
    add_erasure(context, "wipe")
    add_target(context, "wipe", "user.contact", key="contact")
    add_erasure(context, "other")
    moved = save_rule(context, "second", name="wipe", action_type="erasure", masking_strategy=WIPE)
    assert "belongs to policy 'first'" in moved.failed[0].message
    assert "belongs to rule 'wipe'" in add_target(context, "other", "user.name", key="contact").failed[0].message


def test_erasure_targets_may_not_overlap(context: Context) -> None:
    add_erasure(context, "wipe")
    add_erasure(context, "wipe_more")
    assert add_target(context, "wipe", "user.contact").succeeded
    for category in ("user", "user.contact.email", "user.contact"):
        assert add_target(context, "wipe_more", category).failed
    assert add_target(context, "wipe_more", "user.name").succeeded
    assert [target.data_category for target in policies.list_targets(context, "first", "wipe_more", 1, 9).items] == [
        "user.name"
    ]


def test_access_targets_may_overlap_until_the_rule_erases(context: Context) -> None:
    save_rule(context, name="Give", action_type="access", storage_destination_key="packages")
    assert add_target(context, "give", "user").succeeded
    assert add_target(context, "give", "user.contact").succeeded
    turned = save_rule(context, name="Give", action_type="erasure", masking_strategy=WIPE)
    assert "overlap" in turned.failed[0].message
    assert policies.find_rule(context, "first", "give").action_type == "access"


def test_one_category_once_per_rule_and_only_known_ones(context: Context) -> None:
    add_erasure(context, "wipe")
    add_target(context, "wipe", "user.contact")
    assert add_target(context, "wipe", "user.contact").succeeded  # the same target again
    assert "already names" in add_target(context, "wipe", "user.contact", key="again").failed[0].message
    assert "unknown data category" in add_target(context, "wipe", "user.nonsense").failed[0].message


def test_deleting_honours_the_policy_in_the_path(context: Context) -> None:
    add_erasure(context, "wipe")
    add_target(context, "wipe", "user.contact", key="contact")
    with pytest.raises(NotFound):
        policies.delete_rule(context, "second", "wipe")
    with pytest.raises(NotFound):
        policies.delete_target(context, "second", "wipe", "contact")
    policies.delete_target(context, "first", "wipe", "contact")
    policies.delete_rule(context, "first", "wipe")
    assert policies.list_rules(context, "first", 1, 50).total == 0


def test_deleting_a_policy_takes_its_rules_along(context: Context) -> None:
    add_erasure(context, "wipe")
    policies.delete_policy(context, "first")
    add_erasure(context, "wipe", "second")
    with pytest.raises(NotFound):
        policies.find_policy(context, "first")


def test_a_policy_of_requests_is_kept(context: Context) -> None:
    now = context.clock.now()
    with context.ledger.write() as connection:
        connection.execute(
            tables.requests.insert().values(
                id="pri_1",
                policy_key="first",
                status="complete",
                identity_kinds=[],
                requested_at=now,
                encrypted=False,
                created_at=now,
                updated_at=now,
            )
        )
    with pytest.raises(Conflict):
        policies.delete_policy(context, "first")


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        (PolicyDraft(name="P", drp_action="sale:opt_out"), "not supported"),
        (PolicyDraft(name="P", drp_action="access"), "already has this drp_action"),
        (PolicyDraft(name="P", execution_timeframe=0), "execution_timeframe"),
    ],
)
def test_an_unsound_policy_fails(context: Context, draft: PolicyDraft, reason: str) -> None:
    policies.save_policies(context, [PolicyDraft(name="First", drp_action="access")])
    result = policies.save_policies(context, [draft])
    assert reason in result.failed[0].message


@pytest.mark.parametrize("setting", SharedRows)
def test_what_happens_to_shared_rows_is_kept_for_the_planner(context: Context, setting: SharedRows) -> None:
    policies.save_policies(context, [PolicyDraft(name="First", shared_rows=setting)])
    assert policies.find_policy(context, "first").shared_rows is setting
    with context.ledger.read() as connection:
        assert load_policy(connection, context.ledger.sealer, "first").shared_rows is setting


@pytest.mark.parametrize(
    ("draft", "place"),
    [
        (StorageDraft(name="S", type="ftp"), (0, "type")),
        (StorageDraft(name="S", type="local", format="xml"), (0, "format")),
        (StorageDraft(name="S", type="local", details={"bucket": "b"}), (0, "details", "bucket")),
    ],
)
def test_a_storage_must_fit_its_type(context: Context, draft: StorageDraft, place: tuple[object, ...]) -> None:
    with pytest.raises(InvalidFields) as caught:
        storages.save_storages(context, [draft])
    assert [problem.place for problem in caught.value.problems] == [place]


def test_a_detail_with_a_wrong_value_fails_alone(context: Context, tmp_path: Path) -> None:
    drafts = [
        StorageDraft(name="Bad", type="local", details={"path": "relative"}),
        StorageDraft(name="Good", type="local", details={"path": str(tmp_path)}),
    ]
    result = storages.save_storages(context, drafts)
    assert [view.key for view in result.succeeded] == ["good"]
    assert result.failed[0].data == drafts[0]


def test_a_storage_in_use_is_kept(context: Context) -> None:
    save_rule(context, name="Give", action_type="access", storage_destination_key="packages")
    with pytest.raises(Conflict, match="rule 'give'"):
        storages.delete_storage(context, "packages")
    policies.delete_rule(context, "first", "give")
    storages.delete_storage(context, "packages")
    with pytest.raises(NotFound):
        storages.find_storage(context, "packages")


def test_local_storage_takes_no_secrets(context: Context) -> None:
    assert storages.save_storage_secrets(context, "packages", {}).test_status == "skipped"
    with pytest.raises(InvalidFields):
        storages.save_storage_secrets(context, "packages", {"key": "x"})
