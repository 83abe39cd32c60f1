"""What a plugin says of itself, so that the engine can check a job before anything runs (`ATTRIBUTES.md` of the
interface)."""

from .stages import ROLES, stages_of

SDK = "guest-sdk-python 0.1.0"


def attributes(module):
    """Facts by name, of all roles that a module declares."""
    facts = {}
    for role in ROLES:
        stage = stages_of(module).get(role)
        if stage:
            facts.update(stage.attributes())
    # A mapper and a reducer may both declare some: one that both do is one.
    names = dict.fromkeys(name for stage in stages_of(module).values() for name in stage.outputs)
    if names:
        facts["outputs"] = ",".join(names)
    return list(facts.items())


def check_roles(module, source, roles):
    """Fails where a module and its project do not name the same roles."""
    declared = stages_of(module)
    for role in roles:
        if role not in declared:
            has = ", ".join(role for role in ROLES if role in declared) or "none"
            raise SystemExit(f"mr-engine.toml names the role {role}, and {source} declares {has}: @mr.{role} is missing")
    for role in declared:
        if role not in roles:
            raise SystemExit(f"{source} declares a {role}, and mr-engine.toml does not name it in `roles`")
