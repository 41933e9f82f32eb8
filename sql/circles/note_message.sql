-- A message in a conversation makes agents speak, in the transaction that posts it: none is stored without its turns.
-- A copy asks nobody.
create or replace function circles.note_message() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    hops integer;
    by_program boolean;
    speaker uuid;
begin
    -- The reply of a turn has that turn for its `client_id`.
    select t.hops + 1 into hops from circles.turn t
    where t.id = platform.uuid_of(new.client_id) and t.agent_id = new.author_id and t.channel_id = new.channel_id;
    if hops is null and exists (select from circles.seat s where s.account_id = new.author_id) then
        -- What an agent writes by a tool follows from the turn that it writes it in.
        select max(t.hops) + 1 into hops from circles.turn t where t.agent_id = new.author_id and t.finished_at is null;
    end if;
    by_program := hops is null and exists (
        select from identity.account a where a.id = new.author_id and a.kind = 'agent');
    -- Agents are asked there by `circles.ask_agents`, and their answers ask nobody.
    if exists (select from circles.conversation v where v.channel_id = new.channel_id and v.asked_by is not null) then
        return null;
    end if;
    foreach speaker in array circles.speakers(new, coalesce(hops, 0)) loop
        perform circles.start_turn(new.channel_id, speaker, new.id, new.seq, coalesce(hops, 0),
            case when new.visible_to is not null then array(
                select distinct a from unnest(new.visible_to || new.author_id) a order by a) end,
            is_endless => by_program and circles.is_endless(new, speaker));
    end loop;
    return null;
end
$$;
create or replace trigger message_noted after insert on channels.message
for each row when (new.copied_from is null) execute function circles.note_message();
