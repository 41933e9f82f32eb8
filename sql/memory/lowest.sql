-- The lower of two trusts; null means that there is none.
create or replace function memory.lowest(one text, other text) returns text
language sql immutable
as $$
    select case when memory.rank_of(one) <= memory.rank_of(other) or other is null then one else other end
$$;
