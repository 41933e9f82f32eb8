-- Makes the conversation of a client of A2A with a public agent, or with a public circle, and returns it.
create or replace function circles.a2a_open(account uuid, kind text, door uuid) returns circles.conversation
language plpgsql
as $$
declare
    made channels.channel;
    v circles.conversation;
begin
    insert into channels.channel as h (kind, private, topic, created_by)
    values ('conversation', true, '', account) returning h.* into made;
    insert into channels.member (channel_id, account_id, role)
    select made.id, account, 'owner'
    union all
    select made.id, door, 'member' where kind = 'agents' and door <> account
    union all
    select made.id, m.account_id, 'member' from circles.member m
    where kind = 'circles' and m.circle_id = door and m.account_id <> account;
    insert into circles.conversation as x (channel_id, circle_id, door, created_by)
    values (made.id, case kind when 'circles' then door end, door, account) returning x.* into v;
    return v;
end
$$;
