"""Bicep read into plain values: what the files of deploy/azure declare, by their syntax trees."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tree_sitter
import tree_sitter_bicep
from tree_sitter import Node

_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))


class Expression(str):
    """Something whose value is known only when it is deployed, by its text."""


@dataclass
class Resource:
    symbol: str
    kind: str
    version: str
    existing: bool
    body: dict[str, Any]


@dataclass
class Module:
    symbol: str
    path: str
    params: dict[str, Any]


@dataclass
class Document:
    path: Path
    required: set[str] = field(default_factory=set)
    optional: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)
    secure: set[str] = field(default_factory=set)
    outputs: set[str] = field(default_factory=set)
    resources: list[Resource] = field(default_factory=list)
    modules: list[Module] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    @property
    def declared(self) -> set[str]:
        symbols = {r.symbol for r in self.resources} | {m.symbol for m in self.modules}
        return self.required | self.optional | self.variables | symbols


def parse(path: Path, text: str | None = None) -> Document:
    """Return what a file declares; ``wrong`` names what is no Bicep."""
    root = _PARSER.parse((text or path.read_text()).encode()).root_node
    document = Document(path)
    _faults(root, document)
    decorators = ""
    for node in root.children:
        if node.type == "decorators":
            decorators = _text(node)
            continue
        _declaration(node, document, decorators)
        decorators = ""
    return document


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _faults(node: Node, document: Document) -> None:
    if node.type == "ERROR" or node.is_missing:
        document.wrong.append(
            f"{document.path.name}:{node.start_point.row + 1}: {_text(node)[:60]}"
        )
    if node.type == "identifier" and node.parent and _is_use(node):
        document.used.add(_text(node))
    for child in node.children:
        _faults(child, document)


def _is_use(node: Node) -> bool:
    """Whether an identifier names something, rather than being a name or a key of its own."""
    parent = node.parent
    assert parent
    if parent.type in {"parameter_declaration", "variable_declaration", "output_declaration"}:
        return parent.named_children[0] != node
    if parent.type in {"resource_declaration", "module_declaration"}:
        return False
    if parent.type == "object_property":
        return parent.named_children[0] != node
    if parent.type == "resource_expression":
        return parent.child_by_field_name("object") == node
    return parent.type != "call_expression" or parent.child_by_field_name("function") != node


def _declaration(node: Node, document: Document, decorators: str) -> None:
    names = [_text(child) for child in node.named_children if child.type == "identifier"]
    if node.type == "parameter_declaration":
        bare = "=" not in {child.type for child in node.children}
        (document.required if bare else document.optional).add(names[0])
        if "@secure()" in decorators:
            document.secure.add(names[0])
    elif node.type == "variable_declaration":
        document.variables.add(names[0])
    elif node.type == "output_declaration":
        document.outputs.add(names[0])
    elif node.type == "resource_declaration":
        _resource(node, document, "", "")
    elif node.type == "module_declaration":
        body = _body(node)
        path = _string(next(c for c in node.named_children if c.type == "string"))
        document.modules.append(Module(names[0], path, body.get("params", {})))


def _resource(node: Node, document: Document, kind: str, version: str) -> None:
    """Note a resource and those that are nested in it, which inherit type and version."""
    symbol = _text(node.named_children[0])
    name = _string(next(c for c in node.named_children if c.type == "string"))
    own, _, own_version = name.partition("@")
    full, version = (f"{kind}/{own}" if kind else own), own_version or version
    existing = any(child.type == "existing" for child in node.children)
    document.resources.append(Resource(symbol, full, version, existing, _body(node)))
    for inner in _nested(node):
        _resource(inner, document, full, version)


def _object(node: Node) -> Node:
    """Return the body of a declaration, whatever condition stands before it."""
    found = next(c for c in node.named_children if c.type in {"object", "if_statement"})
    return found if found.type == "object" else _object(found)


def _nested(node: Node) -> list[Node]:
    properties = _object(node).named_children
    inner = [p.named_children[0] for p in properties if p.type == "object_property"]
    return [child for child in inner if child.type == "resource_declaration"]


def _body(node: Node) -> dict[str, Any]:
    value = _value(_object(node))
    assert isinstance(value, dict)
    return value


def _string(node: Node) -> str:
    if any(child.type == "interpolation" for child in node.named_children):
        return Expression(_text(node))
    return _text(node)[1:-1]


def _value(node: Node) -> Any:
    if node.type == "object":
        pairs = [p.named_children for p in node.named_children if p.type == "object_property"]
        return {_key(key): _value(rest[-1]) for key, *rest in pairs if rest}
    if node.type == "array":
        return [_value(child) for child in node.named_children if child.type != "comment"]
    if node.type == "string":
        return _string(node)
    plain = {"true": True, "false": False, "null": None}
    if node.type in {"boolean", "null"}:
        return plain[_text(node)]
    return int(_text(node)) if node.type == "number" else Expression(_text(node))


def _key(node: Node) -> str:
    return _string(node) if node.type == "string" else _text(node)
