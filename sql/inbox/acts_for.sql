-- Whether an account is the one that asked, or an agent that this one owns, whose decision would be its own.
create or replace function inbox.acts_for(account uuid, asked_by uuid) returns boolean
language sql stable
as $$
    select account = asked_by
        or exists (select from identity.agent g where g.account_id = acts_for.account and g.owner_id = acts_for.asked_by)
$$;
