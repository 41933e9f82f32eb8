-- The trust that a message has for an account: its own party's are its own, all others are strangers'.
create or replace function memory.trust_of_message(account uuid, id text) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case when m.author_id = any (memory.party(account)) then 'own' else 'stranger' end
    from channels.readable_message(account) m
    where m.id = platform.uuid_of(trust_of_message.id) and m.state = 'shown'
$$;
