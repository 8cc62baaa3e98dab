"""Templates by name: those of this package, and those that other packages register as entry points."""

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from hw_templates.foundation.catalogue import load_entry_point, unsound
from hw_templates.foundation.errors import UnknownNameError

if TYPE_CHECKING:
    from codesign.templates.template import Template

GROUP = "codesign.templates"
"""Group of entry points; the name of each is the template's, its object a template or a class of one."""
_BUILT_IN = {
    "engine": "codesign.templates.engine.template:EngineTemplate",
    "hls4ml": "codesign.templates.hls4ml.template:Hls4mlTemplate",
}
_RUN_FOLDERS = ("baselines", "project", "report")
"""Names in a run folder that the results of a template cannot have."""


def template_names() -> tuple[str, ...]:
    """Return the names of all templates, those of this package first; none is imported."""
    return (*_BUILT_IN, *sorted({point.name for point in entry_points(group=GROUP)} - _BUILT_IN.keys()))


def load_template(template: "str | Template") -> "Template":
    """Return the template of a name; a template is returned as it is.

    Raises:
        InvalidValueError: no such name.
        StorageError: the entry point of that name takes the name of another template, cannot be loaded or leads to
            something else; names the entry point and says what to do.
    """
    if not isinstance(template, str):
        return template
    points = [point for point in entry_points(group=GROUP) if point.name == template]
    if points:
        from codesign.templates.template import Template

        found, point = load_entry_point(points, "template", taken=template in (*_BUILT_IN, *_RUN_FOLDERS))
        names = {*vars(Template), *Template.__annotations__}
        if missing := sorted(name for name in names if not (name.startswith("_") or hasattr(found, name))):
            raise unsound(point, f"lacks {', '.join(missing)} of codesign.templates.template.Template")
        try:
            loaded: Template = found() if isinstance(found, type) else found
        except Exception as error:
            raise unsound(point, f"cannot be made ({' '.join(str(error).split())[:200]})") from error
        if loaded.name != template:
            raise unsound(point, f"leads to a template called {loaded.name!r}")
        return loaded
    if template not in _BUILT_IN:
        raise UnknownNameError("template", template, template_names())
    built_in: Template = EntryPoint(template, _BUILT_IN[template], GROUP).load()()
    return built_in
