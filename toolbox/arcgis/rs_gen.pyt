# -*- coding: utf-8 -*-
"""rs_gen in ArcGIS Pro: every tool of ``rs_gen/tools.py`` as a geoprocessing tool.

What there is to know lies in the package ``rs_gen_arcgis`` beside this file; the work runs in a
process of its own.
"""

import os
import sys

import arcpy  # noqa: F401 - a toolbox begins so; the package uses it

# Beside the toolbox in the repository; the wheel installs both where Python looks.
_HERE = os.path.dirname(os.path.abspath(__file__))
if os.path.isdir(os.path.join(_HERE, "rs_gen_arcgis")) and _HERE not in sys.path:
    sys.path.insert(0, _HERE)  # before a wheel of another version

from rs_gen_arcgis import checking, dialog, facts, listing, tools, work  # noqa: E402


def as_tool(name):
    """A class that ArcGIS Pro can list, made from a tool."""

    class Tool:
        def __init__(self):
            self.label, self.category = listing.label_of(name)
            self.description = tools.summary(tools.TOOLS[name])

        def getParameterInfo(self):
            return dialog.dialog(name)

        def isLicensed(self):
            return True

        def updateParameters(self, parameters):
            checking.update_parameters(name, parameters)

        def updateMessages(self, parameters):
            checking.update_messages(name, parameters)

        def execute(self, parameters, messages):
            work.execute(name, parameters, messages)

        def postExecute(self, parameters):
            return

    Tool.__name__ = Tool.__qualname__ = facts.class_name(name)
    Tool.__doc__ = tools.TOOLS[name].__doc__
    return Tool


TOOLS = [as_tool(name) for name in tools.TOOLS]
globals().update({tool.__name__: tool for tool in TOOLS})


class Toolbox:
    """What ArcGIS Pro reads."""

    def __init__(self):
        self.label = "rs_gen: image translation for rasters"
        self.alias = "rsgen"
        self.tools = TOOLS
