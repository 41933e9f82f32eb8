-- Whether a query means its words as they are written: there are quotes in it, or a minus before a word.
create or replace function skills.is_literal(query text) returns boolean
language sql immutable
as $$
    select is_literal.query ~ '"|(^|\s)-\S'
$$;
