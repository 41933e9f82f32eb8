-- What all payers may still spend together; null: no budget bounds it.
create or replace function llm.left_of(payers text[]) returns bigint
language sql stable
as $$
    select min(b.limit_microusd - b.spent_microusd - llm.reserved(b.subject, b.since))
    from llm.budget b where b.subject = any(payers)
$$;
