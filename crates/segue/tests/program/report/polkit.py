"""A stand-in for polkit: whoever asks rtkit for something may have it."""

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

NAME = "org.freedesktop.PolicyKit1"


class Authority(dbus.service.Object):
    @dbus.service.method(
        NAME + ".Authority", in_signature="(sa{sv})sa{ss}us", out_signature="(bba{ss})"
    )
    def CheckAuthorization(self, subject, action, details, flags, cancellation):
        return (True, False, dbus.Dictionary({}, signature="ss"))


dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.SystemBus()
name = dbus.service.BusName(NAME, bus)
authority = Authority(bus, "/org/freedesktop/PolicyKit1/Authority")
print("ready", flush=True)
GLib.MainLoop().run()
