-- Where this ledger came from, or went to: one row. A ledger that is only half here is nobody's yet, and one that has
-- gone is nobody's any more.

CREATE TABLE moves (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    -- FROM or TO the other one.
    direction TEXT NOT NULL,
    other TEXT NOT NULL,
    -- That the source had: the same is carried on with, another one from the start.
    epoch INTEGER NOT NULL,
    begin_time INTEGER NOT NULL,
    finish_time INTEGER
) STRICT;
