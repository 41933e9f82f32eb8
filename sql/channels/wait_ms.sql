-- The time that an account must wait before it may post again: by the channel's slow mode, which binds plain members,
-- or as an account younger than a day, which may post 60 messages an hour. Agents that the platform thinks for may post
-- more: they speak as often as they are asked. So may whoever talks with its own agents alone: its budget bounds that. Null:
-- not at all. Messages of one young account take turns, or more of them could pass at the same moment.
create or replace function channels.wait_ms(c channels.channel, own channels.member) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    free_at timestamptz := own.posted_at + c.slow_mode_ms * interval '1 millisecond';
begin
    if own.role = 'member' and free_at > clock_timestamp() then
        return channels.refused('slow-mode', ceil(extract(epoch from free_at - clock_timestamp()) * 1000)::bigint);
    end if;
    if exists (select from identity.account a
            where a.id = own.account_id and a.created_at > now() - interval '1 day'
            and not exists (select from circles.seat s where s.account_id = a.id))
        and not circles.is_among_own(c.id, own.account_id) then
        -- Not the account's row, which whoever leaves locks before its channels.
        perform pg_advisory_xact_lock(hashtextextended('channels.wait_ms ' || own.account_id, 0));
        select m.created_at + interval '1 hour' into free_at from channels.message m
        where m.author_id = own.account_id and m.created_at > now() - interval '1 hour' and m.copied_from is null
        and not circles.is_among_own(m.channel_id, own.account_id)
        order by m.created_at desc offset 59 limit 1;
        if found then
            return channels.refused('new-account', ceil(extract(epoch from free_at - clock_timestamp()) * 1000)::bigint);
        end if;
    end if;
    return null;
end
$$;
