-- The JSON of a channel for an account in answers, or for events if the account is null. A direct channel is named by
-- its other members.
create or replace function channels.channel_json(c channels.channel, viewer uuid) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    own channels.member;
begin
    select b.* into own from channels.member b where b.channel_id = c.id and b.account_id = viewer;
    return jsonb_build_object('id', c.id, 'kind', c.kind, 'name', c.name, 'topic', c.topic, 'private', c.private,
            'slow_mode_ms', c.slow_mode_ms, 'archived', c.archived_at is not null, 'created_at', c.created_at,
            'last_message_at', c.last_message_at, 'version', c.version,
            'members', (select count(*) from (
                select from channels.member b where b.channel_id = c.id limit 1000) as some_members),
            'to', case when c.kind = 'direct' then coalesce((
                select jsonb_agg(channels.account_json(b.account_id) order by b.account_id) from channels.member b
                where b.channel_id = c.id and b.account_id is distinct from viewer), '[]') end)
        || case when viewer is null then '{}' else jsonb_build_object('role', own.role, 'notify', own.notify,
            'muted_until', own.muted_until, 'hidden', coalesce(own.hidden, false)) end;
end
$$;
grant execute on function channels.channel_json(channels.channel, uuid) to gather_channels;
