-- Writes to the inboxes of accounts. An item that shows a message is shown as long as its channel may be read. The
-- inbox decides which accounts want it.
create or replace function channels.tell(accounts uuid[], kind text, title text, body text, link text, by uuid, subject text)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    topic text;
begin
    if cardinality(accounts) > 0 then
        if kind in ('mention', 'direct', 'reply', 'message') then
            select 'channel:' || m.channel_id into topic
            from channels.message m where m.id = platform.uuid_of(split_part(tell.subject, ':', 2));
        end if;
        perform inbox.notify_readers(topic, accounts, kind, title, body, link, by, subject);
    end if;
end
$$;
