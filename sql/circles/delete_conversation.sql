-- Deletes a conversation with its messages and turns, and what was kept of them elsewhere; what its turns have cost stays
-- booked. For its maker, and for owners and moderators of its circle.
create or replace function circles.delete_conversation(account uuid, conversation uuid, client jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    -- As whoever posts, and before turns.
    c channels.channel := channels.lock(account, conversation::text);
    v circles.conversation;
begin
    select x.* into v from circles.find_conversation(account, c.id) x;
    if v.channel_id is null then
        return circles.refused('conversation-not-found');
    elsif v.created_by is distinct from account
        and coalesce(circles.role_of(account, v.circle_id), 'member') not in ('owner', 'moderator') then
        return circles.refused('forbidden');
    end if;
    perform circles.stop_turn(t.id) from circles.turn t
    where t.channel_id = c.id and t.finished_at is null order by t.id;
    perform channels.end_channel(c, array['channel:' || c.id, 'conversation:' || c.id], account, 'conversation.deleted',
        client);
    return '{"ok": null}';
end
$$;
grant execute on function circles.delete_conversation(uuid, uuid, jsonb) to gather_circles;
