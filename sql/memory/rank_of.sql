-- The rank of a trust: the least has the lowest.
create or replace function memory.rank_of(trust text) returns integer
language sql immutable
as $$
    select case trust when 'own' then 3 when 'tool' then 2 when 'stranger' then 1 end
$$;
grant execute on function memory.rank_of to gather_memory;
