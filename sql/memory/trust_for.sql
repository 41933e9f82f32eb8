-- The trust of a text for those who ask. In a conversation many write, so only what their own party wrote is trusted there.
create or replace function memory.trust_for(party uuid[], scope text, author uuid, trust text) returns text
language sql immutable
as $$
    select case when scope = 'conversation' and author <> all (party) then 'stranger' else trust end
$$;
grant execute on function memory.trust_for to gather_memory;
