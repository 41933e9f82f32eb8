-- Whether the limits of all payers let a model be used.
create or replace function llm.may_use(payers text[], model text) returns boolean
language sql stable
as $$
    select not exists (
        select from llm.payer p
        where p.subject = any(may_use.payers) and p.models is not null and not exists (
            select from unnest(p.models) m where m = may_use.model
            or (right(m, 1) = '*' and starts_with(may_use.model, left(m, -1)))))
$$;
grant execute on function llm.may_use to gather_llm;
