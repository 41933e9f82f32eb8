-- The versions of a message's text, the newest first, for its author and moderators.
create or replace function channels.revisions(account uuid, ref text, message uuid, is_moderator boolean) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    channel uuid := coalesce(channels.find(account, ref), case when is_moderator then platform.uuid_of(ref) end);
    m channels.message;
begin
    select x.* into m from channels.message x
    where x.id = message and x.channel_id = channel and x.deleted_at is null and (is_moderator or exists (
        select from channels.readable_message(account) r where r.id = x.id));
    if m.id is null then
        return channels.refused('message-not-found');
    elsif not is_moderator and m.author_id <> account
        and not coalesce(channels.role_of(account, channel) in ('owner', 'moderator'), false) then
        return channels.refused('forbidden');
    end if;
    return jsonb_build_object('ok', (
        select jsonb_agg(to_jsonb(r) order by r.version desc) from (
            select m.version, m.body, m.html, coalesce(m.edited_at, m.created_at) as written_at, false as struck
            union all
            (select v.version, v.body, v.html, v.written_at, v.struck_at is not null
             from channels.revision v where v.message_id = m.id order by v.version desc limit 99)
        ) r));
end
$$;
grant execute on function channels.revisions(uuid, text, uuid, boolean) to gather_channels;
