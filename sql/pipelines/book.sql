-- Books what the turns of a conversation have used on the run that has asked there, whose row the caller has locked.
create or replace function pipelines.book(run uuid, conversation uuid) returns void
language sql
as $$
    update pipelines.run r set used = pipelines.plus(r.used, jsonb_build_object('cost', u.used -> 'cost_microusd',
        'tokens', (u.used ->> 'input_tokens')::bigint + (u.used ->> 'output_tokens')::bigint))
    from (select circles.usage_of(book.conversation) as used) u
    where r.id = book.run
$$;
