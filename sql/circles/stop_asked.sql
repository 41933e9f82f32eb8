-- Ends what a conversation was begun for by `circles.ask`: nobody waits for it any more.
create or replace function circles.stop_asked(conversation uuid) returns void
language sql
as $$
    update circles.conversation v set task = null where v.channel_id = stop_asked.conversation;
    select circles.stop_turn(t.id) from circles.turn t
    where t.channel_id = stop_asked.conversation and t.finished_at is null order by t.id
$$;
