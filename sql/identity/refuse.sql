-- Raises a refusal that a statement's caller knows by its name, as that of a constraint.
create or replace function identity.refuse(name text) returns void
language plpgsql
as $$
begin
    raise exception '%', name using errcode = 'check_violation', constraint = name;
end
$$;
