-- Whether an account that manages no models may see the limits of a subject, or set them: its own account's it may see, its
-- keys' and its teams' also set, the latter by its role there.
create or replace function llm.may_limit(account uuid, subject text, sets boolean) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case split_part(may_limit.subject, ':', 1)
        when 'account' then not sets and may_limit.subject = 'account:' || account
        when 'key' then exists (select from identity.api_key k
            where k.id = platform.uuid_of(substr(may_limit.subject, 5)) and k.account_id = account)
        when 'team' then identity.allows(account, case when sets then 'llm:provide' else 'llm:call' end,
            platform.uuid_of(substr(may_limit.subject, 6)))
        else false end
$$;
grant execute on function llm.may_limit to gather_llm;
