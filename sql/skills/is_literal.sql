-- Whether a query means its words literally: it has quotes, or a minus before a word.
create or replace function skills.is_literal(query text) returns boolean
language sql immutable
as $$
    select is_literal.query ~ '"|(^|\s)-\S'
$$;
