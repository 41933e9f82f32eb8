-- Changes a conversation: its title, the limits of turns there, and whether it is open, paused (messages are taken, and
-- agents answer when it is open again; what has begun is finished) or closed (nothing more is written). Its maker and owners
-- or moderators of its circle can.
--   change  any of {title, limits, status}; `limits` of null take them away
create or replace function circles.change_conversation(account uuid, conversation uuid, change jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v circles.conversation;
begin
    select x.* into v from circles.find_conversation(account, conversation) x;
    if v.channel_id is null then
        return circles.refused('conversation-not-found');
    end if;
    -- As whoever posts, and before turns.
    perform from channels.channel c where c.id = conversation for no key update;
    select x.* into v from circles.conversation x where x.channel_id = conversation for no key update;
    if v.created_by is distinct from account
        and coalesce(circles.role_of(account, v.circle_id), 'member') not in ('owner', 'moderator') then
        return circles.refused('forbidden');
    elsif v.is_over and change ->> 'status' <> 'closed' then
        return circles.refused('circle-deleted');
    end if;
    update circles.conversation x set title = coalesce(change ->> 'title', x.title),
        limits = case when change ? 'limits' then nullif(change -> 'limits', 'null') else x.limits end, status = coalesce(change ->> 'status', x.status)
    where x.channel_id = conversation returning x.* into v;
    if change ->> 'status' = 'closed' then
        perform circles.stop_turn(t.id) from circles.turn t where t.channel_id = conversation and t.finished_at is null;
    elsif change ->> 'status' = 'paused' then
        perform circles.park_turn(t.id) from circles.turn t where t.channel_id = conversation and t.status = 'queued';
    elsif change ->> 'status' = 'open' then
        perform circles.unpark_turn(t.id) from circles.turn t
        where t.channel_id = conversation and t.finished_at is null and t.job_id is null;
    end if;
    update channels.channel c set topic = coalesce(left(change ->> 'title', 250), c.topic),
        archived_at = case change ->> 'status' when 'closed' then coalesce(c.archived_at, now()) when 'open' then null
            when 'paused' then null else c.archived_at end, version = c.version + 1
    where c.id = conversation;
    return jsonb_build_object('ok', circles.conversation_json(v));
end
$$;
grant execute on function circles.change_conversation(uuid, uuid, jsonb) to gather_circles;
