-- Has the agent of a new conversation say the greeting of its persona, if that has one: where it is the only agent that the
-- platform thinks for, and thinks for whoever made the conversation.
create or replace function circles.greet(channel uuid, maker uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    agents uuid[];
    greeting jsonb;
begin
    agents := array(select s.account_id from channels.member b join circles.seat s on s.account_id = b.account_id
        where b.channel_id = greet.channel limit 2);
    select v.greeting into greeting
    from circles.seat s join circles.persona p on p.id = s.persona_id
    join circles.persona_version v on v.persona_id = p.id and v.number = coalesce(s.persona_version, p.version)
    where cardinality(agents) = 1 and s.account_id = agents[1] and s.state not in ('stopped', 'elsewhere')
    and (s.public or s.owner_id = maker);
    perform channels.post_message(agents[1], greet.channel::text, greeting) where greeting is not null;
end
$$;
