-- Takes an account out of a circle and its conversations, and cancels its turns there.
create or replace function circles.exit(circle uuid, account uuid, actor uuid) returns void
language plpgsql
as $$
declare
    channel uuid;
begin
    perform circles.stop_turn(t.id) from circles.turn t
    where t.circle_id = circle and t.agent_id = account and t.finished_at is null;
    for channel in
        delete from channels.member b using circles.conversation v
        where v.circle_id = circle and b.channel_id = v.channel_id and b.account_id = account returning b.channel_id
    loop
        perform events.emit(array['channel:' || channel, 'conversation:' || channel], 'access.changed',
            jsonb_build_object('account', account), null, actor);
    end loop;
    perform circles.withdraw_votes(circle, account);
    delete from circles.member m where m.circle_id = circle and m.account_id = exit.account;
    perform events.emit(array['circle:' || circle], 'member.left',
        jsonb_build_object('circle', circle, 'account', circles.account_json(exit.account)), null, actor);
    perform events.emit(array['circle:' || circle], 'access.changed', jsonb_build_object('account', exit.account),
        null, actor);
end
$$;
