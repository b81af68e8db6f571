"""Whatever the audit can hold has words: names of acts, kinds of objects, facts.

They are read from the sources, from every `Done` that a flow, an act or the command line answers,
so that an act written tomorrow with a fact that has no words fails here.
"""

import ast
from collections import defaultdict
from pathlib import Path

import meterhouse
from meterhouse.flows import project
from meterhouse.web import audited, views
from meterhouse.web.audited import ACT_TITLES

ROOMS = ("flows", "web", "cli")
NOTES = ("_do", "perform", "_note", "Entry")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SIDES = ("subject", "answer", "before", "after")
# What no source spells: made of a form's fields, which say themselves what they are called, or of
# what a test below looks at.
MADE = {
    "form.model_dump(mode='json')",
    "form.model_dump(mode='json', exclude={'version'})",
    "shapes.Closed.model_validate(answer).model_dump(mode='json')",
    "shapes.Grown(",
    "await project.set_policy(",
    "chosen",
    "dict(await day.prove_again(",
    "f'{kind}:{group_id}'",
}


class Sources(ast.NodeVisitor):
    """What the functions of one file say to the audit."""

    def __init__(self, tree, elsewhere):
        self.scopes, self.elsewhere = [], elsewhere
        self.acts, self.kinds, self.facts, self.made = set(), set(), set(), set()
        self.visit(tree)

    def visit_FunctionDef(self, node):
        self.scopes.append(node)
        self.generic_visit(node)
        self.scopes.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Call(self, node):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name == "Done":
            said = dict(zip(SIDES, node.args, strict=False))
            said |= {one.arg: one.value for one in node.keywords}
            self.subject(said["subject"])
            for side in said.keys() & {"before", "after"}:
                self.keys(said[side], frozenset())
        elif name in NOTES:
            texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
            self.acts |= {one for one in texts if isinstance(one, str) and "." in one}
        # Where every act of a room ends, what it takes as further facts are facts.
        if name == "_done":
            self.facts |= {one.arg for one in node.keywords if one.arg != "reason"}
        self.generic_visit(node)

    def subject(self, node):
        if isinstance(node, ast.Name):
            for one in self.assigned(node.id):
                self.subject(one)
        elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
            self.kinds.add(node.values[0].value.partition(":")[0])
        else:
            self.made.add(ast.unparse(node))

    def assigned(self, name):
        """What a name stands for in the functions around; a key set later counts, too."""
        for node in (node for scope in self.scopes for node in ast.walk(scope)):
            if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
                continue
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs = zip(target.elts, node.value.elts, strict=True)
                    yield from (one for left, one in pairs if getattr(left, "id", "") == name)
                elif getattr(target, "id", "") == name:
                    yield node.value
                elif isinstance(target, ast.Subscript) and getattr(target.value, "id", "") == name:
                    yield ast.Dict([target.slice], [node.value])

    def keys(self, node, seen):
        """The facts that an expression has as its keys."""
        match node:
            case ast.Dict(keys=keys, values=inner):
                self.facts |= {key.value for key in keys if key is not None}
                for key, one in zip(keys, inner, strict=True):
                    if key is None:
                        self.keys(one, seen)
            case ast.BinOp(left=one, right=other) | ast.IfExp(body=one, orelse=other):
                self.keys(one, seen)
                self.keys(other, seen)
            case ast.Name(id=name):
                found = [] if name in seen else list(self.assigned(name))
                for one in found:
                    self.keys(one, seen | {name})
                arguments = {scope.args.kwarg.arg for scope in self.scopes if scope.args.kwarg}
                if not found and name not in seen | arguments:
                    self.made.add(name)
            case ast.Call(func=ast.Name(id=name)) if name in self.elsewhere:
                self.scopes.append(self.elsewhere[name])
                for one in ast.walk(self.elsewhere[name]):
                    if isinstance(one, ast.Return) and one.value is not None:
                        self.keys(one.value, seen)
                self.scopes.pop()
            case ast.DictComp() | ast.Constant():
                pass  # of another side's keys, or nothing
            case _:
                self.made.add(ast.unparse(node))


def sources():
    """(module, what it says) of each file."""
    root = Path(meterhouse.__file__).parent
    trees = {
        ".".join(("meterhouse", *path.relative_to(root).with_suffix("").parts)):
            ast.parse(path.read_text(encoding="utf-8"))
        for room in ROOMS for path in sorted((root / room).rglob("*.py"))
    }  # fmt: skip
    shared = functions_of(trees["meterhouse.web.acts.account"])
    return {
        module: Sources(tree, {"told_of": shared["told_of"]} | functions_of(tree))
        for module, tree in trees.items()
    }  # fmt: skip


def functions_of(tree):
    return {one.name: one for one in ast.walk(tree) if isinstance(one, FUNCTIONS)}


SAID = sources()


def test_every_act_has_a_title():
    acts = {act for one in SAID.values() for act in one.acts}
    assert {"email.change", "password.forget", "session.begin"} <= acts
    assert acts - ACT_TITLES.keys() == set()


def test_every_kind_of_object_has_a_word():
    kinds = {kind for one in SAID.values() for kind in one.kinds}
    assert {"receipt", "shift", "meter"} <= kinds
    assert kinds - audited._OBJECTS.keys() == set()


def test_every_fact_has_words():
    asked, nameless = defaultdict(set), set()
    for act in audited._DECLARED.values():
        asked[act.run.__module__] |= act.asks.keys()
    for module, one in SAID.items():
        known = audited._FACTS.keys() | asked[module]
        nameless |= {f"{module}: {fact}" for fact in one.facts - known
                     if not audited._LEFT_OUT.fullmatch(fact)}  # fmt: skip
    assert sum(len(one.facts) for one in SAID.values()) > 80
    assert nameless == set()


def test_what_no_source_spells_is_made_of_fields():
    made = {text for one in SAID.values() for text in one.made}
    assert {text for text in made if not text.startswith(tuple(MADE))} == set()


def test_the_rules_of_a_project_have_words():
    rules = project.template("residential").keys()
    assert rules - audited._FACTS.keys() - audited._DECLARED["policy.edit"].asks.keys() == set()


def test_every_list_is_told_by_its_heading():
    assert views.LISTS.keys() <= audited.KNOWN.keys()
