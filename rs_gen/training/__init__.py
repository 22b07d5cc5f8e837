"""The loop: callbacks, schedule, resume, previews and alarms."""
