DELETE FROM calendars WHERE (namespace, calendar_id) IN (VALUES :rows)
