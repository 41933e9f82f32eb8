-- Puts a message into the inboxes of those whom it concerns. A new message is told to the members that want each one: in a
-- direct channel all of them, elsewhere one at a time, since a busy channel would flood them. Whoever is mentioned for the
-- first time and the author of what it replies to are told apart from that.
create or replace function channels.tell_of_message(m channels.message, c channels.channel, told_before uuid[])
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    author text := (select a.name from identity.account_name a where a.id = m.author_id);
    link text := '/channels/' || c.id || '?around=' || m.id;
    preview text := left(m.plain, 200);
    place text := coalesce('#' || c.name, 'a conversation');
    others uuid[] := array(select b.account_id from channels.member b
        where b.channel_id = c.id and b.account_id <> m.author_id and b.notify = 'all' and m.edited_at is null
        and (m.visible_to is null or b.account_id = any (m.visible_to)) limit 1000);
    mentioned uuid[] := m.mentions;
    replied uuid[];
begin
    if c.kind = 'direct' then
        perform channels.tell(channels.wants(others, c.id, true), 'direct', author || ' wrote to you', preview, link,
            m.author_id, 'message:' || m.id);
        told_before := told_before || others;
    end if;
    if m.visible_to is not null then
        mentioned := array(select x from unnest(mentioned) x where x = any (m.visible_to));
    end if;
    if m.mentions_all and m.visible_to is null then
        mentioned := array(select b.account_id from channels.member b
            where b.channel_id = c.id and b.account_id <> m.author_id limit 1000);
    end if;
    mentioned := array(select x from unnest(mentioned) x where x <> all (told_before));
    perform channels.tell(channels.wants(mentioned, c.id, false), 'mention', author || ' mentioned you in ' || place,
        preview, link, m.author_id, 'message:' || m.id);
    replied := array(select r.author_id from channels.message r where r.id = m.reply_to and r.author_id <> m.author_id
        and r.author_id <> all (mentioned || told_before) and channels.may_read(r.author_id, c.id)
        and m.author_id <> all (social.shunned(r.author_id)));
    perform channels.tell(channels.wants(replied, c.id, false), 'reply', author || ' replied to you in ' || place, preview,
        link, m.author_id, 'message:' || m.id);
    if c.kind = 'channel' then
        others := array(select x from unnest(others) x where x <> all (mentioned || replied));
        perform channels.tell(inbox.caught_up(channels.wants(others, c.id, true), 'message', 'channel:' || c.id), 'message',
            author || ' wrote in ' || place, preview, link, m.author_id, 'message:' || m.id);
    end if;
end
$$;
