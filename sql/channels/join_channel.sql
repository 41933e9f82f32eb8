-- Joins a public channel. Earlier messages count as read.
create or replace function channels.join_channel(account uuid, ref text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c channels.channel := channels.lock(account, ref);
begin
    if c.id is null then
        return channels.refused('not-found');
    end if;
    if channels.role_of(account, c.id) is null then
        if c.archived_at is not null then
            return channels.refused('channel-archived');
        end if;
        insert into channels.member (channel_id, account_id, read_seq) values (c.id, account, c.last_seq);
        perform channels.tell_of_member(c.id, account, 'joined', 'member', account);
    end if;
    return jsonb_build_object('ok', channels.channel_json(c, account));
end
$$;
grant execute on function channels.join_channel(uuid, text) to gather_channels;
