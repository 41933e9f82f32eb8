-- Tells a provider's owner that it is down, or up again; of the platform's, its administrators.
create or replace function llm.tell_provider(p llm.provider, type text, reason text) returns void
language plpgsql
as $$
declare
    topics text[] := case when p.owner = 'platform'
        then array(select 'account:' || r.account_id from identity.account_role r where r.role = 'admin')
        else array[p.owner] end;
begin
    if cardinality(topics) > 0 then
        perform events.emit(topics, tell_provider.type,
            jsonb_build_object('provider', p.id, 'name', p.name, 'reason', reason), subject => 'llm-provider:' || p.id);
    end if;
end
$$;
